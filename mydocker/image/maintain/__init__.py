"""Keeping the store in order: what is in use, what can go, what is damaged, and how it is repaired."""
