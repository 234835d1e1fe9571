"""A container's cgroups: where they are made, what limits they get, and what they say in the end."""
