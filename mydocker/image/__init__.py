"""A reference becomes a verified, unpacked image on disk: registries, digests, layers, the store."""
