"""What a transaction's bytes cost (java-tron's BandwidthProcessor), and its other flat fees."""

from __future__ import annotations

from dataclasses import replace

from devnet import limits, resources
from devnet.accounts import Account
from devnet.address import to_base58
from devnet.chain_pb2 import AccountCreateContract, TransactionInfo, TransferContract
from devnet.items import Item
from devnet.moment import Moment
from devnet.rejection import Code, RejectedError
from devnet.resources import UNUSED, Usage
from devnet.state import State

# What all accounts together may use of their free bandwidth in a day (java-tron's PUBLIC_NET_LIMIT).
PUBLIC_NET_LIMIT = 14_400_000_000
_PUBLIC_NET = ("public_net", b"")
_SIGNATURE_BYTES = 65


def charge(state: State, item: Item, moment: Moment, info: TransactionInfo) -> None:
    """Take bandwidth, multi-signature fee and memo fee from the owner; fill in the receipt.

    Raises:
        RejectedError: The owner is unknown, or cannot pay.
    """
    account = state.account(item.owner)
    if account is None:
        raise RejectedError.invalid(f"account [{_readable(item.owner)}] does not exist")
    account = replace(account, last_operation_ms=moment.head_ms)
    if _creates_account(state, item):
        _charge_for_creation(state, account, item, moment, info)
    else:
        _charge_for_bytes(state, account, item, moment, info)
    if len(item.transaction.signature) > 1:
        _burn(state, item.owner, state.parameter("getMultiSignFee"), info)
    if item.transaction.raw_data.data:
        _burn(state, item.owner, state.parameter("getMemoFee"), info)


def _charge_for_bytes(
    state: State, account: Account, item: Item, moment: Moment, info: TransactionInfo
) -> None:
    """All from stake, else all from the free pool, else all burned: never mixed."""
    size, slot = item.size_bytes, moment.slot
    if size <= limits.net_left(state, account, slot):
        _use_stake(state, account, size, slot, info)
        return
    if _use_free(state, account, size, slot):
        info.receipt.net_usage = size
        return

    fee_sun = size * state.parameter("getTransactionFee")
    state.put_account(account)
    _burn(state, item.owner, fee_sun, info)
    info.receipt.net_fee = fee_sun


def _charge_for_creation(
    state: State, account: Account, item: Item, moment: Moment, info: TransactionInfo
) -> None:
    """Stake, else a flat fee; free bandwidth does not count."""
    size = item.transaction.ByteSize() - len(item.transaction.signature) * _SIGNATURE_BYTES
    most = state.parameter("getMaxCreateAccountTxSize")
    if size > most:
        raise RejectedError(
            Code.TOO_BIG_TRANSACTION_ERROR,
            f"Too big new account transaction, TxId {item.txid.hex()}, "
            f"the size is {size} bytes, maxTxSize {most}",
        )
    cost = item.size_bytes * state.parameter("getCreateNewAccountBandwidthRate")
    if cost <= limits.net_left(state, account, moment.slot):
        _use_stake(state, account, cost, moment.slot, info)
        return

    fee_sun = state.parameter("getCreateAccountFee")
    state.put_account(account)
    _burn(state, item.owner, fee_sun, info)
    info.receipt.net_fee = fee_sun


def _use_stake(
    state: State, account: Account, points: int, slot: int, info: TransactionInfo
) -> None:
    state.put_account(replace(account, net=resources.consumed(account.net, points, slot)))
    info.receipt.net_usage = points


def _use_free(state: State, account: Account, size: int, slot: int) -> bool:
    """Use the account's free pool if it and the pool of all accounts have room."""
    public: Usage = state.get(_PUBLIC_NET) or UNUSED
    public_left = PUBLIC_NET_LIMIT - resources.remaining(public, slot)
    if size > min(limits.free_net_left(state, account, slot), public_left):
        return False
    state.put(_PUBLIC_NET, resources.consumed_free(public, size, slot))
    state.put_account(
        replace(account, free_net=resources.consumed_free(account.free_net, size, slot))
    )
    return True


def _burn(state: State, owner: bytes, fee_sun: int, info: TransactionInfo) -> None:
    account = state.account(owner)
    if account is None or account.balance_sun < fee_sun:
        raise RejectedError.short_of_resources()
    state.put_account(account.with_balance(-fee_sun))
    state.burn(fee_sun)
    info.fee += fee_sun


def _creates_account(state: State, item: Item) -> bool:
    match item.contract:
        case TransferContract():
            return state.account(item.contract.to_address) is None
        case AccountCreateContract():
            return True
        case _:
            return False


def _readable(owner: bytes) -> str:
    return to_base58(owner) if owner else ""
