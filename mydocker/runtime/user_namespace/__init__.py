"""Containers of root with a user namespace of their own: `--userns auto`, `--uidmap`, `--gidmap`, `--subuidname`."""
