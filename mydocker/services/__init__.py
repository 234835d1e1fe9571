"""Several containers that need each other: who can begin, what runs in the background, who is healthy."""
