"""Mounts in each of their notations: `-v`, `--mount`, `--tmpfs`, and the long form of `volumes`."""
