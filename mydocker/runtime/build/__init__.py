"""Images are built by the builder that the host has: what is handed to it, and how its image comes into the store."""
