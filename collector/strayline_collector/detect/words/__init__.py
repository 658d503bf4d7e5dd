"""What people read of findings, a module a subject; ``detect/explain.py`` chooses."""
