"""Other people's files become documents of spec files: Compose, Quadlet, container-structure-test."""
