"""What an image is, as values: its manifest, its config, digests, limits and the steps of a transfer."""
