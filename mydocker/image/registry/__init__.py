"""Registries: one session per repository, uploads, the names of servers, registries.conf."""
