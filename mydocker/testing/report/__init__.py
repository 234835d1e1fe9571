"""The reports of a batch, one file a format."""
