"""Podman's Quadlet files: a `.container` unit becomes a document."""
