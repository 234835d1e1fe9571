"""The output of a container in the background that has a terminal, at its end."""

from __future__ import annotations

import os
import pathlib
import pty
import select

import pytest

from mydocker.services.containers.log_files import LogFiles
from mydocker.services.containers.output import KeptTerminal, Output
from mydocker.specs.model.parts import Logging


@pytest.mark.parametrize("moment", ["it has been polled", "it has not been polled"])
def test_a_terminal_is_read_to_its_end(tmp_path: pathlib.Path, moment: str) -> None:
    """Also if the container has ended in the moment in which its terminal comes."""
    log = LogFiles(str(tmp_path), Logging())
    terminal = KeptTerminal(forward_input=False)
    terminal.master, slave = pty.openpty()
    os.set_blocking(terminal.master, False)
    os.write(slave, b"last words")
    output = Output(terminal, log, {})
    if moment == "it has been polled":
        output.waits()
    os.close(slave)
    output.end_input()
    with terminal:
        while waits := output.waits():
            poll = select.poll()
            for descriptor, events in waits.items():
                poll.register(descriptor, events)
            ready = poll.poll(10_000)
            assert ready, "the terminal does not seem to be closed"
            for descriptor, events in ready:
                output.carry(descriptor, events)
    log.end()
    log.close()
    output.close()
    assert "last words" in "".join(path.read_text() for path in tmp_path.iterdir())
