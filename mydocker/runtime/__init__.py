"""A spec and an image become a plan, a process and an outcome: namespaces, mounts, users, signals, terminals."""
