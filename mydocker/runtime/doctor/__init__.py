"""What this host can do for containers, determined by trying it."""
