"""Telling people of findings who do not look: webhooks."""
