"""Images in files: `oci:`, `docker-archive:`, `dir:` and their archives, read and written."""
