"""The batch: many cases at once, on a pool of workers."""
