"""Parts of a batch, which several machines run, and the whole that their results are put together to."""
