"""Devices of the host: which a container gets, and how fast it may use them."""
