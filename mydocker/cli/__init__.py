"""The command line: argv in, exit code out. The only room that prints."""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run the command that ARGV (default: sys.argv[1:]) names; the exit code."""
    raise NotImplementedError
