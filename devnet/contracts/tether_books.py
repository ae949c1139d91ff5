"""What all of TetherToken's methods share: balances, the fee, and the successor."""

from __future__ import annotations

from devnet.contracts.abi import address_in, address_word, integer_word
from devnet.contracts.forwarding import forwarded
from devnet.contracts.frame import Frame
from devnet.contracts.halt import failed_assertion
from devnet.contracts.usdt import TRANSFER_TOPIC

MAX_UINT = 2**256 - 1
_RATE_UNIT = 10_000


def fee_of(frame: Frame, value: int) -> int:
    """What the owner keeps of a transfer; a product beyond 256 bits fails an assertion."""
    product = value * frame.read("rate")
    if product > MAX_UINT:
        raise failed_assertion()
    return min(product // _RATE_UNIT, frame.read("maximum_fee"))


def credit(frame: Frame, holder: bytes, value: int) -> None:
    """Add to a balance."""
    frame.write("balance", added(frame.read("balance", holder), value), holder)


def log_transfer(frame: Frame, sender: bytes, recipient: bytes, value: int) -> None:
    """Emit the event of a movement."""
    topics = TRANSFER_TOPIC, address_word(sender), address_word(recipient)
    frame.emit(*topics, data=integer_word(value))


def by_legacy(frame: Frame, signature: str, *values: bytes | int) -> bytes:
    """Hand a call on to the successor.

    Raises:
        RevertError: It is no contract, or reverted.
        AbortError: The energy is gone.
    """
    upgraded = address_in(integer_word(frame.read("upgraded")))
    return forwarded(frame, upgraded, signature, *values)


def owner_of(frame: Frame) -> bytes:
    """Who owns the contract."""
    return address_in(integer_word(frame.read("owner")))


def added(first: int, second: int) -> int:
    """A sum, as SafeMath takes it.

    Raises:
        AbortError: It takes more than 256 bits.
    """
    if first + second > MAX_UINT:
        raise failed_assertion()
    return first + second


def subtracted(first: int, second: int) -> int:
    """A difference, as SafeMath takes it.

    Raises:
        AbortError: It is below 0.
    """
    if second > first:
        raise failed_assertion()
    return first - second
