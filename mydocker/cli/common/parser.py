"""The parser of the commands that are not on the warm path."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from mydocker.errors import UsageError


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError where it would print and exit, and that takes no abbreviated options. MORE is
    what --help says at its end."""

    def __init__(self, command: str, *, description: str, more: Callable[[], str] | None = None) -> None:
        super().__init__(prog=f"mydocker {command}", description=description, allow_abbrev=False)
        self.more = more

    def format_help(self) -> str:
        return super().format_help() + (f"\n{self.more()}" if self.more else "")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see '{self.prog} --help'")

    def add_profiles(self) -> None:
        """The option --profile, as `docker compose` has it."""
        self.add_argument(
            "--profile",
            action="append",
            default=[],
            metavar="NAME",
            help="take in the containers of this profile, * of all; may be repeated",
        )
