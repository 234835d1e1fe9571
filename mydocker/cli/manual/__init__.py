"""The documentation in mydocker itself: help, the man page and completions, all from one description of each
command."""
