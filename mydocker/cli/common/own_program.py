"""The command that runs now, for what calls it later: a unit of systemd, a job of a cluster."""

from __future__ import annotations

import os
import shutil
import sys

from mydocker.paths import absolute


def own_program() -> str:
    """Its absolute path."""
    path = sys.argv[0]
    return absolute(path) if os.path.isfile(path) and os.access(path, os.X_OK) else shutil.which("mydocker") or path
