"""What stacks of layers become: the same in all commands, and what the model of the specification says."""

from __future__ import annotations

import pathlib

import pytest
from lab import stacks, trees
from peer import Peer

COUNT = 4


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return trees.build(tmp_path_factory.mktemp("dump"))


@pytest.mark.parametrize("number", range(COUNT))
def test_a_stack_of_layers(peer: Peer, dump: pathlib.Path, number: int) -> None:
    argv = ("/dump-tree", f"/{stacks.TOP}")
    done = peer.run("-v", f"{dump}:/dump-tree:ro", image=f"lab/stack{number}", argv=argv)
    assert (done.code, done.stderr) == (0, b"")
    assert trees.parse(done.stdout) == stacks.result(stacks.samples(COUNT)[number])
