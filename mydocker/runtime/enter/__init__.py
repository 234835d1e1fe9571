"""Commands that run in a container besides its own, started from outside of it: `mydocker exec`."""
