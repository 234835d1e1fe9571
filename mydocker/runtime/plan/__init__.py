"""What will be done to start a container, as pure data: nothing in this folder acts on the host."""
