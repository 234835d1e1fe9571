"""Worker processes: each runs containers for a batch or a sequence, and reports what it found."""
