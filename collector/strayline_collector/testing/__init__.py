"""Strayline in a test suite: ``pytest --strayline``."""
