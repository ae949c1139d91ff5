"""Lets the armed faults strike requests and replies."""

from __future__ import annotations

import asyncio

from devnet.api.exchange import Answer, HttpRequest, Lost, Reply
from devnet.api.replies import json_reply
from devnet.faults import ArmedFault, Fault, Faults

_SUSPENSION = {
    "Error": "request rate exceeded the allowed_rps(10), and the query server is suspended for 5 s"
}
_MS_PER_S = 1_000


class FaultInterceptor:
    """Answers, or lets fail, as it was told to."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:
        """Use up the faults that strike this request."""
        path = request.path
        if self._faults.take(Fault.REQUEST_LOST, path):
            return Lost()
        slow = self._faults.take(Fault.SLOW, path)
        if slow is not None:
            await asyncio.sleep(slow.delay_ms / _MS_PER_S)

        reply = self._false_reply(path) or await answer(request)
        return Lost() if self._faults.take(Fault.REPLY_LOST, path) else reply

    def _false_reply(self, path: str) -> Reply | None:
        status = self._faults.take(Fault.STATUS, path)
        if status is not None:
            return _refusal(status)
        if self._faults.take(Fault.EMPTY_REPLY, path):
            return Reply(body=b"{}")
        return None


def _refusal(fault: ArmedFault) -> Reply:
    """What a gateway says when it has had enough, unless another body was given."""
    return json_reply(_SUSPENSION if fault.body is None else fault.body, status=fault.status)
