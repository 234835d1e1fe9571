"""The containers that run now, as their run directories say (run_directory.py)."""

from __future__ import annotations

import os

from mydocker.image.store_root import is_held


def running(containers: str) -> list[str]:
    """The run directories of the containers that run now, below directory CONTAINERS."""
    try:
        return [path for name in os.listdir(containers) if is_held(path := f"{containers}/{name}")]
    except FileNotFoundError:
        return []


def read_link(run_dir: str, name: str) -> str:
    """What the link NAME of a run directory says; empty if it is not there."""
    try:
        return os.readlink(f"{run_dir}/{name}")
    except OSError:
        return ""
