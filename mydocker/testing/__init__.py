"""Many specs become outcomes, in sequence; the batch runner."""
