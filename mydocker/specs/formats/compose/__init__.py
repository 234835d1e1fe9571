"""Compose files: each service becomes a document."""
