"""What a container's name server knows itself, and whether it may ask others."""

from __future__ import annotations

import os

from mydocker.runtime.network.name_server import message
from mydocker.runtime.network.name_server.host_names import HostNames
from mydocker.runtime.network.name_server.message import Malformed, Question
from mydocker.runtime.network.name_server.upstream import Upstream

_LARGEST = 4096  # bytes of a query


class Source:
    def __init__(self, names: HostNames, upstream: Upstream, *, forwarding: int) -> None:
        """FORWARDING is the open file that says whether the container has a way to the outside; -1 if it need not."""
        self.names, self.upstream, self._forwarding = names, upstream, forwarding

    def reply(self, query: bytes, *, is_stream: bool) -> bytes | Question:
        """The reply to QUERY, which has a header, or its question, if that is to be forwarded."""
        try:
            if len(query) > _LARGEST:
                raise Malformed(message.FORMAT_ERROR)
            question = message.parse(query)
        except Malformed as error:
            return message.refusal(query, error.code)
        found = self._find(question)
        if found is not None:
            return message.answer(query, question, found, limit=message.LARGEST if is_stream else question.size)
        if not self._may_forward():
            return message.refusal(query, message.SERVER_FAILURE, question)
        return question

    def _find(self, question: Question) -> list[bytes] | None:
        try:
            return self.names.find(question)
        except OSError:  # the file went with its disk
            return None

    def _may_forward(self) -> bool:
        return self._forwarding < 0 or os.fstat(self._forwarding).st_size > 0
