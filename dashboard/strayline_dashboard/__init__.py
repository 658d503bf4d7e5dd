"""The dashboard. Knows the collector by its API alone."""
