"""Credentials and tokens: who we are to a registry, and how it is asked."""
