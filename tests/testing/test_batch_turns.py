"""One turn of the loop of a batch."""

from __future__ import annotations

import os

from mydocker.testing.batch.batch import Batch, Limits
from mydocker.testing.batch.spawner import Spawner


def test_no_event_of_a_descriptor_is_taken_for_one_of_another_that_has_its_number_now() -> None:
    batch = Batch([], limits=Limits(jobs=1), spawner=Spawner({}))
    first, second = (_readable() for _ in range(2))
    quiet, _writer = os.pipe()
    called = []

    def replace_second() -> None:
        batch._forget(second)
        os.dup2(quiet, second)
        batch._on(second, lambda: called.append("an event that is not its own"))

    batch._on(first, replace_second)
    batch._on(second, lambda: called.append("second"))
    batch._turn()
    assert called == []
    for descriptor in (first, second, quiet, _writer):
        os.close(descriptor)


def _readable() -> int:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    return reader
