"""A container's cgroups: where they are created, what limits they get, and what they report at the end."""
