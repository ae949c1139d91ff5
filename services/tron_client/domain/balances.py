"""Balances of watched addresses, and whether the transfers that were told explain how they changed.

TRX that a contract sends is in a receipt only where the node keeps internal transactions, which
java-tron does not by default (``vm.saveInternalTx``). A balance shows it all the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.tron_client.domain.blocks import INT64_MAX, InconsistentBlock
from services.tron_client.domain.transfers import Transfer
from shared.models.tron_client import TransferState
from shared.tron.address import Address

_STAKES: Final = ("frozenV2", "unfrozenV2", "votes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an address held in a solid block.

    Attributes:
        id: the address.
        version: of the record.
        height: of that block.
        usdt_micro: decimal digits, for a contract may answer with more than 64 bits.
        is_plain: nothing is staked, so TRX comes by transfers alone; stakes and rewards that are
            paid out raise a balance too.
        doubts: how often a later balance could not be explained.
    """

    id: str
    version: int = 0
    height: int
    trx_sun: int
    usdt_micro: str
    is_plain: bool
    doubts: int = 0


def read_balance(
    address: Address, account: Mapping[str, Any], *, usdt_micro: int, height: int
) -> Balance:
    """Read an account as a node prints it; an empty one is not activated and holds no TRX.

    Raises:
        InconsistentBlock: its balance is none.
    """
    trx_sun = account.get("balance", 0)
    if type(trx_sun) is not int or not 0 <= trx_sun <= INT64_MAX:
        raise InconsistentBlock(f"the balance of {address} is no amount")
    return Balance(
        id=address,
        height=height,
        trx_sun=trx_sun,
        usdt_micro=str(usdt_micro),
        is_plain=not any(_has_amount(account.get(name)) for name in _STAKES),
    )


def unexplained(before: Balance, after: Balance, told: Iterable[Transfer]) -> str | None:
    """Say what of a change between two balances no told transfer explains, or None.

    USDT must come out exactly. TRX may be less than the transfers say, for fees and stakes take
    from it; more, on an account without stakes, came from where nobody looked.
    """
    trx_sun, usdt_micro = after.trx_sun - before.trx_sun, int(after.usdt_micro)
    usdt_micro -= int(before.usdt_micro)
    for transfer in told:
        if transfer.token is not None or not _lies_between(transfer, before, after):
            continue
        amount = int(transfer.amount_base_units)
        change = amount * ((transfer.recipient == after.id) - (transfer.sender == after.id))
        if transfer.contract is None:
            trx_sun -= change
        else:
            usdt_micro -= change
    if usdt_micro:
        return f"{usdt_micro} micro-USDT"
    if trx_sun > 0 and before.is_plain and after.is_plain:
        return f"{trx_sun} sun"
    return None


def _lies_between(transfer: Transfer, before: Balance, after: Balance) -> bool:
    return (
        transfer.state is TransferState.CONFIRMED
        and before.height < transfer.height <= after.height
    )


def _has_amount(entries: Any) -> bool:
    """Tell whether a list of an account has an entry with an amount; three empty ones are usual."""
    return isinstance(entries, list) and any(
        isinstance(value, int) and value
        for entry in entries
        if isinstance(entry, dict)
        for value in entry.values()
    )
