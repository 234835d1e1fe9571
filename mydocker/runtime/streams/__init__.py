"""Standard streams and terminals of a container, and the relay between them and the caller."""
