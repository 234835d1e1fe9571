"""What this host can do for containers, found out by trying."""
