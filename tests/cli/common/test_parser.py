"""Values of options that argparse takes for something else."""

from __future__ import annotations

import pytest

from mydocker.cli.commands import config, test
from mydocker.errors import UsageError


def test_two_dashes_are_a_value() -> None:
    options = test.parser().parse_args(["-k=--", "--tags=--", "--profile=--", "--slurm=--", "--", "--", "x"])
    assert (options.k, options.tags, options.profile, options.slurm) == ("--", "--", ["--"], ["--"])
    assert options.paths[-1] == "x"


def test_two_dashes_are_no_choice() -> None:
    with pytest.raises(UsageError, match="invalid choice: '--'"):
        config.parser().parse_args(["--to=--"])
    with pytest.raises(UsageError, match="invalid number value: '--'"):
        test.parser().parse_args(["-j=--", "x"])
