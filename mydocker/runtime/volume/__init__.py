"""Named volumes on disk, and how a new one is filled from the image."""
