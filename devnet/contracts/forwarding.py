"""Calling another contract as Solidity does: by signature, and failing when it fails."""

from __future__ import annotations

from devnet.contracts.abi import address_word, integer_word, selector_of
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.halt import RevertError
from devnet.contracts.storage import deployed

# Encoding the call data, and looking whether there is a contract at all.
_ENCODE = Code(ones=6, twos=12, threes=90, eights=4, tens=6)


def call_data(signature: str, *values: bytes | int) -> bytes:
    """Call data for a method whose arguments are addresses and integers."""
    words = (integer_word(each) if isinstance(each, int) else address_word(each) for each in values)
    return selector_of(signature) + b"".join(words)


def forwarded(frame: Frame, target: bytes, signature: str, *values: bytes | int) -> bytes:
    """Call a method of another contract and return what it returns.

    Raises:
        RevertError: There is no contract, or it reverted; its data is passed on.
        AbortError: The energy is gone.
    """
    frame.run(_ENCODE)
    if deployed(frame.state, target) is None:
        raise RevertError
    result = frame.call(target, call_data(signature, *values))
    frame.run(_ENCODE)
    if not result.succeeded:
        raise RevertError(result.returned)
    return result.returned
