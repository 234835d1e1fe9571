"""What containers of Quadlets refer to by units of its own kind: images, networks, secrets, volumes."""
