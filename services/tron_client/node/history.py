"""Read an address's past from a gateway: its transactions, and the transfers of tokens.

Source: TronGrid's ``/v1/accounts/{address}/transactions`` and ``…/transactions/trc20``.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec

from services.tron_client.domain.blocks import INT64_MAX
from services.tron_client.domain.contracts import Said, said
from services.tron_client.domain.history import (
    History,
    InconsistentHistory,
    PastTokenMove,
    PastTransaction,
    Question,
)
from services.tron_client.node.pages import PAGE_ITEMS, Bounds, Gateway, Walk, convert
from shared.models.tron_reads import TokenMove
from shared.tron.address import (
    ADDRESS_PREFIX,
    EVM_LENGTH,
    Address,
    InvalidAddress,
    address_bytes,
    parse_address,
)
from shared.tron.keccak import keccak256

MAX_SYMBOL_CHARACTERS: Final = 32

_MOVES: Final = {"Transfer": TokenMove.TRANSFER, "Approval": TokenMove.APPROVAL}
_MAX_DECIMALS: Final = 255

_Amount = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Up to the last millisecond that has a date of four digits."""

_Txid = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})+$")]
_Uint256 = Annotated[str, msgspec.Meta(pattern="^(0|[1-9][0-9]{0,77})$")]


async def past_transactions(
    gateway: Gateway, question: Question, bounds: Bounds
) -> History[PastTransaction]:
    """Return the transactions that name an address.

    Raises:
        InconsistentHistory: a page is malformed, in disorder or of somebody else, or pages lead back.
        NodeUnavailable: the gateway gave no answer.
    """
    path = f"/v1/accounts/{question.address}/transactions"
    query = _query(question) | {"search_internal": "false"}
    return await Walk(gateway, path, query, bounds).to_the_end(question, _Transactions(question))


async def past_token_moves(
    gateway: Gateway, question: Question, bounds: Bounds
) -> History[PastTokenMove]:
    """Return the transfers and approvals of tokens from or to an address; raises the same."""
    path = f"/v1/accounts/{question.address}/transactions/trc20"
    query = _query(question)
    if question.token is not None:
        query["contract_address"] = question.token
    return await Walk(gateway, path, query, bounds).to_the_end(question, _TokenMoves(question))


class _Ret(msgspec.Struct):
    contractRet: str | None = None  # noqa: N815 - a gateway's own word
    fee: _Amount = 0


class _Transaction(msgspec.Struct):
    txID: _Txid  # noqa: N815 - a gateway's own word
    raw_data_hex: _Hex
    blockNumber: _Amount  # noqa: N815 - a gateway's own word
    block_timestamp: _Moment
    ret: list[_Ret] = []
    net_usage: _Amount = 0
    energy_usage_total: _Amount = 0


class _TokenInfo(msgspec.Struct):
    address: str
    symbol: Any = None
    decimals: Any = None


class _TokenMove(msgspec.Struct, rename={"sender": "from", "recipient": "to"}):
    transaction_id: _Txid
    token_info: _TokenInfo
    block_timestamp: _Moment
    sender: str
    recipient: str
    type: str
    value: _Uint256


class _Transactions:
    """Reads transactions; each comes once, for its id names it."""

    def __init__(self, question: Question) -> None:
        self._of = address_bytes(question.address)
        self._known: dict[str, PastTransaction] = {}

    def read(self, item: dict[str, Any]) -> PastTransaction:
        """Read an item of a page."""
        return _transaction(convert(item, _Transaction, "a transaction"), self._of)

    def fresh(self, page: Sequence[PastTransaction]) -> list[PastTransaction]:
        """Return what was not told before."""
        found = []
        for each in page:
            known = self._known.setdefault(each.txid, each)
            if known != each:
                raise InconsistentHistory(f"transaction {each.txid} is told in two ways")
            if known is each:
                found.append(each)
        return found


class _TokenMoves:
    """Reads token transfers; equal ones are told apart by nothing but their place in one page.

    Two of one transaction may fall on both sides of a page's end, so the transaction that a page ends
    with may go on in the next one.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self._earlier: set[PastTokenMove] = set()
        self._unfinished: str | None = None

    def read(self, item: dict[str, Any]) -> PastTokenMove:
        """Read an item of a page."""
        return _token_move(convert(item, _TokenMove, "a token transfer"), self._question)

    def fresh(self, page: Sequence[PastTokenMove]) -> list[PastTokenMove]:
        """Return what no earlier page told."""
        found = [
            each for each in page if each.txid == self._unfinished or each not in self._earlier
        ]
        self._earlier.update(page)
        self._unfinished = page[-1].txid if page else self._unfinished
        return found


def _query(question: Question) -> dict[str, str]:
    query = {
        "limit": str(PAGE_ITEMS),
        "order_by": "block_timestamp,desc",
        "min_timestamp": str(question.since_ms),
        "max_timestamp": str(question.until_ms),
    }
    return query | ({"only_confirmed": "true"} if question.only_solid else {})


def _transaction(item: _Transaction, of: bytes) -> PastTransaction:
    raw_data = bytes.fromhex(item.raw_data_hex)
    if sha256(raw_data).hexdigest() != item.txID:
        raise InconsistentHistory(f"transaction {item.txID} is not what its id names")
    contract = said(raw_data)
    if of not in raw_data and of != _created(contract, item.txID):
        raise InconsistentHistory(f"transaction {item.txID} does not name the account")
    if contract.amount_sun is not None and contract.amount_sun < 0:
        raise InconsistentHistory(f"transaction {item.txID} moves less than nothing")
    outcome = item.ret[0] if item.ret else _Ret()
    return PastTransaction(
        txid=item.txID,
        height=item.blockNumber,
        at_ms=item.block_timestamp,
        said=contract,
        result=outcome.contractRet,
        fee_sun=outcome.fee,
        energy_used=item.energy_usage_total,
        bandwidth_used=item.net_usage,
    )


def _created(contract: Said, txid: str) -> bytes | None:
    """Return the address that a contract got when it was made (java-tron generateContractAddress)."""
    if contract.kind != "CreateSmartContract" or contract.owner is None:
        return None
    digest = keccak256(bytes.fromhex(txid) + address_bytes(contract.owner))
    return ADDRESS_PREFIX + digest[-EVM_LENGTH:]


def _token_move(item: _TokenMove, question: Question) -> PastTokenMove:
    move = _MOVES.get(item.type)
    parties = (_address(item.sender), _address(item.recipient))
    token = _address(item.token_info.address)
    if move is None or question.address not in parties or question.token not in {None, token}:
        raise InconsistentHistory("a token transfer is not what was asked for")
    return PastTokenMove(
        txid=item.transaction_id,
        at_ms=item.block_timestamp,
        move=move,
        token=token,
        symbol=_shown(item.token_info.symbol),
        decimals=_counted(item.token_info.decimals),
        sender=parties[0],
        recipient=parties[1],
        value=int(item.value),
    )


def _shown(symbol: Any) -> str | None:
    """Return what a stranger's contract calls itself, fit to be shown."""
    if not isinstance(symbol, str):
        return None
    return "".join(each for each in symbol if each.isprintable())[:MAX_SYMBOL_CHARACTERS]


def _counted(decimals: Any) -> int | None:
    is_number = type(decimals) is int and 0 <= decimals <= _MAX_DECIMALS
    return decimals if is_number else None


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except InvalidAddress:
        raise InconsistentHistory("a token transfer without its parties") from None
