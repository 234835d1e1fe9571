"""What a container is, as values: its spec, what is expected of it, what it depends on."""
