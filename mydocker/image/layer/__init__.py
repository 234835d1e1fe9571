"""A stream of bytes becomes a directory: layers are downloaded, checked, scanned and extracted."""
