"""Credentials and tokens: who the caller is to a registry, and how that is proved."""
