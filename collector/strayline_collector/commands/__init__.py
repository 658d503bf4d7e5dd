"""What the console script's commands do. Each module is imported when its command runs."""

from __future__ import annotations


class UsageProblem(Exception):
    """Something the user said cannot be done; its text is one clear line. Exit code 2."""
