"""Where things of this repository are, whatever folder a test stands in."""

from __future__ import annotations

import pathlib

LAB = pathlib.Path(__file__).parent
TESTS = LAB.parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
