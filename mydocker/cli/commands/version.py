"""`mydocker version` and `mydocker --version`."""

from __future__ import annotations

from mydocker import __version__


def version_command(argv: list[str]) -> int:
    """Print the version; 0."""
    print(f"mydocker {__version__}")
    return 0
