"""`mydocker fsck`: compare the store with what was verified when it was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common.parser import Parser
from mydocker.errors import StoreError, printable
from mydocker.image.maintain import fsck, in_use, repair
from mydocker.image.maintain.fsck import Damage
from mydocker.image.store import Store, flock


def fsck_command(argv: list[str]) -> int:
    """0 if the store is whole; 1 if it is damaged, also if the damage has been repaired."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    if not store.is_there():
        return 0
    if not options.repair:
        return _report(fsck.check(store), fate=lambda damage: "")
    if not options.force:
        in_use.check_known(store)
    before = repair.names(store)
    with flock.exclusive(store.layers) as free:
        if not free:
            raise StoreError("a pull is under way, and needs what a repair may remove", hint="try again later")
        status = _report(fsck.check(store), fate=_repair)
    for each in repair.restore(store, before, environ=os.environ):
        print(
            printable(f"image {each.name}: {f'cannot be fetched again: {each.why}' if each.why else 'fetched again'}")
        )
    return status


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "fsck",
        text="It compares names, manifests, configs and layers with what was verified when they were written.",
        exits=(("0", "the store is undamaged"), ("1", "there was damage, repaired or not")),
        examples=(("mydocker fsck --repair", "remove what is damaged, and pull it again"),),
    )
    parser.add_argument("--repair", action="store_true", help="remove what is damaged, and fetch it again")
    parser.add_argument(
        "--force", action="store_true", help="repair also where it is not known what containers on other machines use"
    )
    return parser


def _report(damages: Iterable[Damage], *, fate: Callable[[Damage], str]) -> int:
    """Print what is damaged, and its FATE; the exit code."""
    status = 0
    for damage in damages:
        print(printable(f"{damage.what}: {damage.why}{fate(damage)}"))
        status = NEGATIVE
    return status


def _repair(damage: Damage) -> str:
    if damage.remove is None:
        return " (left alone: a running container uses it)"
    with suppress(FileNotFoundError):  # it went with something else
        damage.remove()
    return " (removed)"
