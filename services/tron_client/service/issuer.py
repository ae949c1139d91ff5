"""Ask USDT itself whether it is paused: a pause from before the scan began is in no block that is read."""

from typing import Final, Protocol

from services.tron_client.domain.notices import USDT, NoticeKind
from services.tron_client.node.client import CallAnswer
from shared.alarms import Alarms
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.tron import abi
from shared.tron.address import Address

log = get_logger(__name__)

_DETAIL: Final = "USDT is paused: nobody can transfer it (its contract says so at the node's head)"


class Caller(Protocol):
    """A node, as far as it runs constant calls."""

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call."""
        ...


class Issuer:
    """Looks at what the issuer of USDT has done to it.

    It only ever raises the alarm: one node's word is enough to be careful, and not to be careless.
    The end of a pause is read from a solid block, as its beginning is where it was scanned.
    """

    def __init__(self, *, node: Caller, usdt: Address, alarms: Alarms) -> None:
        self._node = node
        self._usdt = usdt
        self._alarms = alarms

    async def look(self) -> bool:
        """Look once; never more work at once."""
        try:
            answer = await self._node.call(
                owner=self._usdt, contract=self._usdt, data=abi.encode_paused().hex()
            )
            is_paused = abi.decode_bool(bytes.fromhex(answer.output))
        except (Unavailable, abi.InvalidAbi) as error:
            log.warning("issuer.unheard", detail=str(error))
            return False
        if is_paused:
            await self._alarms.raise_alarm(NoticeKind.PAUSED.value, USDT, detail=_DETAIL)
        return False
