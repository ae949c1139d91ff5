"""Every kind of contract there is, and those that are deployed from the first block on."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.accounts import Account
from devnet.address import PREFIX, keccak256
from devnet.contracts import dynamic_energy
from devnet.contracts.abi import address_word, integer_in
from devnet.contracts.collectible import Collectible
from devnet.contracts.contract import Contract, marker
from devnet.contracts.levers import Levers
from devnet.contracts.oddities import Breaker, OddLogs
from devnet.contracts.payer import Payer
from devnet.contracts.router import Router
from devnet.contracts.storage import Deployed, deploy, deployed, write_slot
from devnet.contracts.tether import TetherToken
from devnet.contracts.tokens import FalseToken, SilentToken, StandardToken, text_number
from devnet.contracts.upgraded import UpgradedTether
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.state import State

KINDS: dict[str, Contract] = {
    each.kind: each
    for each in (
        TetherToken(),
        UpgradedTether(),
        StandardToken(),
        FalseToken(),
        SilentToken(),
        Collectible(),
        Router(),
        Payer(),
        OddLogs(),
        Breaker(),
        Levers(),
    )
}
_WHOLE_PERCENT = 100
_ORIGIN_LIMIT = 10_000_000
_ROUTER_PERCENT = 60
# What all others use with USDT in a maintenance cycle: enough to keep its factor at the cap.
USDT_TRAFFIC = 30_000_000_000
_USDT_FACTOR = 34_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A contract of the first block.

    Attributes:
        token: Name, symbol and decimals, for a token that chooses them.
    """

    name: str
    kind: str
    address: bytes
    caller_percent: int = _WHOLE_PERCENT
    token: tuple[str, str, int] | None = None


def _placed(
    name: str,
    kind: str,
    *,
    token: tuple[str, str, int] | None = None,
    caller_percent: int = _WHOLE_PERCENT,
) -> Placement:
    """A contract at the address that follows from its name."""
    address = PREFIX + keccak256(b"lucid devnet contract " + name.encode())[12:]
    return Placement(
        name=name, kind=kind, address=address, token=token, caller_percent=caller_percent
    )


USDT = Placement(name="TetherToken", kind=TetherToken.kind, address=USDT_CONTRACT_ADDRESS)
UPGRADED_USDT = _placed("UpgradedTether", UpgradedTether.kind)
FAKE_USDT = _placed("FakeTether", StandardToken.kind, token=("Tether USD", "USDT", 6))
COIN_18 = _placed("EighteenDecimals", StandardToken.kind, token=("Devnet Ether", "DETH", 18))
FALSE_TOKEN = _placed("FalseToken", FalseToken.kind, token=("Says False", "FALSE", 6))
SILENT_TOKEN = _placed("SilentToken", SilentToken.kind, token=("Says Nothing", "SILENT", 6))
COLLECTIBLE = _placed("Collectible", Collectible.kind)
ROUTER = _placed("Router", Router.kind, caller_percent=_ROUTER_PERCENT)
PAYER = _placed("Payer", Payer.kind)
ODD_LOGS = _placed("OddLogs", OddLogs.kind)
BREAKER = _placed("Breaker", Breaker.kind)
LEVERS = _placed("Levers", Levers.kind)

PLACEMENTS = (
    USDT,
    UPGRADED_USDT,
    FAKE_USDT,
    COIN_18,
    FALSE_TOKEN,
    SILENT_TOKEN,
    COLLECTIBLE,
    ROUTER,
    PAYER,
    ODD_LOGS,
    BREAKER,
    LEVERS,
)


def player(state: State, address: bytes) -> Contract | None:
    """The double at an address."""
    contract = deployed(state, address)
    return None if contract is None else KINDS[contract.kind]


def compiled(bytecode: bytes) -> Contract | None:
    """The double that a bytecode stands for, None for code that only a real machine could run."""
    found = (each for kind, each in KINDS.items() if bytecode.startswith(marker(kind)))
    return next(found, None)


def place_all(state: State, *, owner: bytes, created_ms: int) -> None:
    """Deploy the contracts of the first block; the owner made them and has their powers."""
    for each in PLACEMENTS:
        _place(state, each, owner=owner, created_ms=created_ms)
    legacy = integer_in(address_word(USDT_CONTRACT_ADDRESS))
    write_slot(state, UPGRADED_USDT.address, "legacy", b"", legacy)
    dynamic_energy.set_factor(state, USDT_CONTRACT_ADDRESS, _USDT_FACTOR)
    dynamic_energy.set_traffic(state, USDT_CONTRACT_ADDRESS, USDT_TRAFFIC)


def _place(state: State, placement: Placement, *, owner: bytes, created_ms: int) -> None:
    address, code = placement.address, marker(placement.kind)
    state.put_account(Account(address=address, created_ms=created_ms, is_contract=True))
    deploy(
        state,
        Deployed(
            address=address,
            kind=placement.kind,
            name=placement.name,
            origin=owner,
            abi=KINDS[placement.kind].interface.abi,
            bytecode=code,
            runtime=code,
            caller_percent=placement.caller_percent,
            origin_limit=_ORIGIN_LIMIT,
        ),
    )
    write_slot(state, address, "owner", b"", integer_in(address_word(owner)))
    if placement.token is not None:
        name, symbol, decimals = placement.token
        write_slot(state, address, "name", b"", text_number(name))
        write_slot(state, address, "symbol", b"", text_number(symbol))
        write_slot(state, address, "decimals", b"", decimals)
