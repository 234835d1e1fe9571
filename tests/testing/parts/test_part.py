"""Which part of a batch is whose."""

from __future__ import annotations

import pytest

from mydocker.errors import UsageError
from mydocker.testing.parts.part import Part, parse_part

ARRAY = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "5"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(
    ("text", "environ", "number", "count"),
    [
        ("2/4", {}, 2, 4),
        ("1/1", {"CI_NODE_INDEX": "3"}, 1, 1),
        ("auto", ARRAY, 5, 5),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_STEP": "2"}, 3, 5),
        ("auto", {**ARRAY, **STEP}, 5, 5),
        ("auto", STEP, 2, 4),
        ("auto/8", STEP, 2, 8),
        ("auto", {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"}, 1, 3),
        ("auto", {"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, 1, 3),
        ("auto", {"BUILDKITE_PARALLEL_JOB": "2", "BUILDKITE_PARALLEL_JOB_COUNT": "3"}, 3, 3),
        ("auto/4", {"JOB_COMPLETION_INDEX": "0"}, 1, 4),
    ],
)
def test_a_part(text: str, environ: dict[str, str], number: int, count: int) -> None:
    assert parse_part(text, environ) == Part(number=number, count=count)


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        *((text, {}, "expected K/N") for text in ("", "2", "0/4", "2/0", "/4", "2/", "a/4", "-1/4", "2/4/8", "auto/x")),
        ("5/4", {}, "there are 4 parts"),
        ("1/100001", {}, "expected K/N"),
        ("auto", {}, "nothing says which part this is"),
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, "nothing says which part this is"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "does not say how many parts"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "says part 3 of 2"),
        ("auto", {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "3"}, "says part 0 of 3"),
        ("auto", {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "3"}, "'x', and no number"),
    ],
)
def test_no_part(text: str, environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_part(text, environ)
