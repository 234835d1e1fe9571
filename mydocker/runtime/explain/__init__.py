"""A launch plan as a shell script."""
