"""The containers in the store as `ps` lists them: what is read of each, and a row for it."""
