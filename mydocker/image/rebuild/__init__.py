"""A directory becomes a stream again: layers are compared with their archives, and put together to these."""
