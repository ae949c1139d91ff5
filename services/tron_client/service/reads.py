"""What callers may ask of accounts and contracts; nothing here decides about money."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.tron_client.domain.accounts import Account, read_account
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.movements import IsWatched
from services.tron_client.node.client import CallAnswer
from services.tron_client.node.errors import CallRefused
from shared.errors import Unavailable
from shared.models.tron_client import CallRequest
from shared.models.tron_reads import AddressFormat
from shared.tron import abi
from shared.tron.address import (
    ZERO_EVM_ADDRESS,
    Address,
    InvalidAddress,
    address_bytes,
    address_from_hex,
    evm_bytes,
    parse_address,
)

_LOOKS_HEXADECIMAL: Final = re.compile(r"(0x)?[0-9a-fA-F]{40,42}", re.ASCII)
_WORD_DIGITS: Final = 64


class Node(Protocol):
    """A node, as far as callers' questions need it."""

    async def account(self, address: Address) -> Mapping[str, Any]:
        """Return an account as printed."""
        ...

    async def resources(self, address: Address) -> Mapping[str, Any]:
        """Return its resources as printed."""
        ...

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call."""
        ...

    async def read_raw(self, path: str, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Return a node's answer to a read as it came."""
        ...


class AbiReader(Protocol):
    """Reads contracts by the ABI they have on chain."""

    async def read(self, contract: Address, function: str, arguments: Sequence[Any]) -> Any:
        """Return what a view function returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """An account with its USDT in base units."""

    account: Account
    usdt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCheck:
    """What is known of a text that may be an address.

    Attributes:
        address: None where the text is none.
        reason: what is wrong with the text.
        holder: who or what is there, None where the node could not be asked.
    """

    address: Address | None
    reason: str | None
    written_as: AddressFormat | None = None
    is_zero: bool = False
    is_watched: bool = False
    holder: "Holder | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What an address is on chain."""

    is_activated: bool
    is_contract: bool
    is_blacklisted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call would use, and what its caller has.

    Attributes:
        energy_factor: of the contract, in ten-thousandths on top.
        energy_available: to the caller, from stakes.
    """

    answer: CallAnswer
    energy_factor: int
    energy_available: int


class Reads:
    """Reads accounts and contracts through the node.

    Args:
        node: who is asked.
        abi_reader: reads view functions by name.
        usdt: the contract of USDT.
        is_watched: tells of an address's 20 bytes whether they are watched.
    """

    def __init__(
        self, *, node: Node, abi_reader: AbiReader, usdt: Address, is_watched: IsWatched
    ) -> None:
        self._node = node
        self._abi_reader = abi_reader
        self._usdt = usdt
        self._is_watched = is_watched

    async def account(self, address: Address) -> Account:
        """Return an account as the node tells it now."""
        account, resources = await asyncio.gather(
            self._node.account(address), self._node.resources(address)
        )
        return read_account(address, account, resources)

    async def holdings(self, addresses: Sequence[Address]) -> list[Holdings]:
        """Return accounts with their USDT, as many at once as the node's lane takes."""
        return await asyncio.gather(*(self._holdings(address) for address in addresses))

    async def check(self, text: str) -> AddressCheck:
        """Say whether a text is an address and what is there, as far as the node answers."""
        try:
            written_as, address = _parsed(text)
        except InvalidAddress as error:
            return AddressCheck(address=None, reason=error.reason.value)
        raw = evm_bytes(address)
        try:
            holder = await self._holder(address)
        except (Unavailable, abi.InvalidAbi):
            holder = None
        return AddressCheck(
            address=address,
            reason=None,
            written_as=written_as,
            is_zero=raw == ZERO_EVM_ADDRESS,
            is_watched=self._is_watched(raw),
            holder=holder,
        )

    async def estimate(self, call: CallRequest) -> Estimate:
        """Run a call for its energy; a revert is a result."""
        owner, contract = call.owner_address, call.contract_address
        answer, resources, info = await asyncio.gather(
            self._node.call(owner=owner, contract=contract, data=call.data),
            self._node.resources(owner),
            self._node.read_raw(
                "/wallet/getcontractinfo", {"value": address_bytes(contract).hex()}
            ),
        )
        available = _whole(resources, "EnergyLimit") - _whole(resources, "EnergyUsed")
        return Estimate(
            answer=answer,
            energy_factor=_whole(info.get("contract_state", {}), "energy_factor"),
            energy_available=max(0, available),
        )

    async def call(self, calls: Sequence[CallRequest]) -> list[CallAnswer]:
        """Run constant calls at once, as many as the node's lane takes.

        One that the node does not run answers as a revert does, so that it holds none of the others up.
        """
        return await asyncio.gather(*(self._ran(call) for call in calls))

    async def _ran(self, call: CallRequest) -> CallAnswer:
        try:
            return await self._node.call(
                owner=call.owner_address, contract=call.contract_address, data=call.data
            )
        except CallRefused as refused:
            return CallAnswer(
                output="",
                energy_used=0,
                energy_penalty=0,
                is_reverted=True,
                failure=refused.detail,
            )

    async def read_contract(
        self, contract: Address, function: str, arguments: Sequence[Any]
    ) -> Any:
        """Return what a view function of a contract returns, by its ABI on chain."""
        return await self._abi_reader.read(contract, function, arguments)

    async def _holdings(self, address: Address) -> Holdings:
        account, usdt = await asyncio.gather(
            self.account(address), self._asked(abi.encode_balance_of(address))
        )
        return Holdings(account=account, usdt=abi.decode_uint256(usdt))

    async def _holder(self, address: Address) -> Holder:
        account, blacklisted = await asyncio.gather(
            self._node.account(address), self._asked(abi.encode_is_black_listed(address))
        )
        return Holder(
            is_activated=bool(account),
            is_contract=account.get("type") == "Contract",
            is_blacklisted=abi.decode_bool(blacklisted),
        )

    async def _asked(self, data: bytes) -> bytes:
        """Ask USDT; raises Unavailable for an answer that is none."""
        answer = await self._node.call(owner=self._usdt, contract=self._usdt, data=data.hex())
        if answer.is_reverted or len(answer.output) != _WORD_DIGITS:
            raise Unavailable("USDT did not answer as it should", retry_after_s=3)
        return bytes.fromhex(answer.output)


def _parsed(text: str) -> tuple[AddressFormat, Address]:
    if _LOOKS_HEXADECIMAL.fullmatch(text):
        return AddressFormat.HEX, address_from_hex(text)
    return AddressFormat.BASE58, parse_address(text)


def _whole(answer: Any, name: str) -> int:
    """Return a whole number from a node's answer; one that is left out is 0."""
    value = answer.get(name, 0) if isinstance(answer, Mapping) else None
    if type(value) is not int or value < 0:
        raise InconsistentBlock(f"{name} is no whole number")
    return value
