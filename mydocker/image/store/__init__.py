"""The store on disk: its layout, its names, its locks, and the staging area that a pull writes to."""
