"""Ask a node who makes blocks, and with which keys."""

import asyncio
from typing import Annotated, Any, Final, Protocol

import msgspec

from services.tron_client.domain.blocks import INT64_MAX, InconsistentBlock
from services.tron_client.domain.witnesses import Roll, Witness
from services.tron_client.node.reading import convert
from shared.tron.address import Address, InvalidAddress, address_from_hex

MAX_ACTIVE: Final = 100
"""Far more than the 27 that any network lets make blocks (java-tron MAX_ACTIVE_WITNESS_NUM)."""


class WitnessNode(Protocol):
    """A node, as far as it tells of witnesses."""

    async def account(self, address: Address) -> dict[str, Any]:
        """Return an account as the node prints it."""
        ...

    async def read_raw(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a node's answer to a read as it came."""
        ...


class _Listed(msgspec.Struct):
    address: str
    isJobs: bool = False  # noqa: N815 - a node's own word


class _List(msgspec.Struct):
    witnesses: list[_Listed] = []


class _Key(msgspec.Struct):
    address: str


class _Permission(msgspec.Struct):
    keys: list[_Key] = []


class _Account(msgspec.Struct):
    witness_permission: _Permission | None = None


class _Number(msgspec.Struct):
    num: Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)] = 0


async def read_roll(node: WitnessNode) -> Roll:
    """Return the witnesses that make blocks now: one call, and one for the key of each.

    Raises:
        InconsistentBlock: the answer is no list of witnesses.
        NodeUnavailable: there is none.
    """
    listed = convert(await node.read_raw("/wallet/listwitnesses", {}), _List, what="witnesses")
    active = [_address(each.address) for each in listed.witnesses if each.isJobs]
    if not active or len(active) > MAX_ACTIVE:
        raise InconsistentBlock(f"the node tells of {len(active)} active witnesses")
    witnesses = await asyncio.gather(*(_witness(node, address) for address in active))
    due = convert(
        await node.read_raw("/wallet/getnextmaintenancetime", {}), _Number, what="a maintenance"
    )
    return Roll(active=frozenset(witnesses), next_maintenance_ms=due.num)


async def _witness(node: WitnessNode, address: Address) -> Witness:
    """Return a witness with its key (java-tron AccountCapsule.getWitnessPermissionAddress)."""
    found = convert(await node.account(address), _Account, what="an account")
    keys = found.witness_permission.keys if found.witness_permission else []
    return Witness(address=address, key=_address(keys[0].address) if keys else address)


def _address(text: str) -> Address:
    try:
        return address_from_hex(text)
    except InvalidAddress:
        raise InconsistentBlock("a witness without an address") from None
