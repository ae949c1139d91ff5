"""What tron-client answers about the chain to whoever asks; no decision about money rests on it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.models.tron_client import AccountView
from shared.models.tron_transactions import ReceiptView
from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    BlockRef,
    HexText,
    Request,
    TimeText,
    TxidText,
    View,
)


class ChainParameterView(View):
    """A chain parameter by its name on chain."""

    name: str
    value: str


class NetworkParametersView(View):
    """All chain parameters as a node listed them at a time, ``age_ms`` ago."""

    parameters: list[ChainParameterView]
    as_of: TimeText
    age_ms: int


class ChainBlockView(View):
    """A block as the node has it.

    ``verified`` says that it is one of the blocks that were followed and proved here; ``solid`` that
    it is at or below the solid block of these. Where it is not verified the node's word is all there is.
    """

    block: BlockRef
    parent_id: str
    solid: bool
    verified: bool
    transaction_count: int
    txids: list[TxidText]


class ChainTransactionView(View):
    """A transaction of anybody in a block, with its receipt; ``verified`` and ``solid`` as for blocks.

    The transaction is proved to be in that block by the block's transaction root; its receipt is the
    node's word.
    """

    txid: TxidText
    block: BlockRef
    solid: bool
    verified: bool
    contract_type: str
    owner_address: AddressText | None
    raw_data: HexText
    receipt: ReceiptView


class AccountsRequest(Request):
    """Accounts to be read at once."""

    addresses: Annotated[list[AddressText], Field(min_length=1, max_length=50)]


class HoldingsView(View):
    """An account with its USDT, read at the node's head."""

    account: AccountView
    usdt_base_units: BaseUnitsText


class AccountsView(View):
    """Accounts in the order in which they were asked for."""

    accounts: list[HoldingsView]
    as_of: TimeText


class AddressFormat(StrEnum):
    """How an address was written."""

    BASE58 = "base58"
    HEX = "hex"


class AddressCheckView(View):
    """Whether a text is an address, and what is there.

    ``reason`` says what is wrong with the text. The rest is null where the text is no address, and
    where the node could not be asked.
    """

    valid: bool
    reason: str | None
    written_as: AddressFormat | None = None
    address: AddressText | None = None
    is_zero: bool | None = None
    watched: bool | None = None
    activated: bool | None = None
    is_contract: bool | None = None
    usdt_blacklisted: bool | None = None


class EstimateRequest(Request):
    """A contract call whose energy is wanted."""

    owner_address: AddressText
    contract_address: AddressText
    data: HexText


class EstimateView(View):
    """What a call would use now, by a constant call at the node's head, and what that costs burned.

    ``energy_used`` contains ``energy_penalty``, which comes from the contract's ``energy_factor`` (ten
    thousandths on top) and may change with every maintenance period, as the price may at ``prices_as_of``.
    """

    energy_used: int
    energy_penalty: int
    energy_factor: int
    energy_fee_sun: BaseUnitsText
    burned_sun: BaseUnitsText
    energy_available: int
    reverted: bool
    revert_reason: str | None
    prices_as_of: TimeText
    prices_age_ms: int


class HistoryExtentView(View):
    """How much of a past an answer holds: blocks from ``since`` to ``until``, newest first.

    Without ``is_complete`` older items of that span are missing; ask again with an ``until_ms`` at the
    last item's time, whose items then come twice. ``repeated`` counts what a later page told again.
    """

    is_complete: bool
    since: TimeText
    until: TimeText
    only_solid: bool
    operator: str
    pages: int
    repeated: int


class PastTransactionView(View):
    """A transaction that names the address.

    Its bytes are those of its id; that a block holds it, its result and its cost are a gateway's word.
    """

    txid: TxidText
    height: int
    at: TimeText
    contract_type: str
    owner_address: AddressText | None
    recipient_address: AddressText | None
    amount_sun: BaseUnitsText | None
    result: str | None
    fee_sun: BaseUnitsText
    energy_used: int
    bandwidth_used: int


class PastTransactionsView(View):
    """The transactions of an address as a gateway tells them; nothing is credited by them."""

    extent: HistoryExtentView
    transactions: list[PastTransactionView]


class TokenMove(StrEnum):
    """What a token's event says."""

    TRANSFER = "transfer"
    APPROVAL = "approval"


class PastTokenMoveView(View):
    """A token's transfer or approval, all of it a gateway's word.

    ``claimed_symbol`` and ``claimed_decimals`` are the contract's own choice: ``is_usdt`` compares the
    contract. ``value`` is in its smallest unit, of a unique token it is the number.
    """

    txid: TxidText
    at: TimeText
    move: TokenMove
    token_address: AddressText
    is_usdt: bool
    claimed_symbol: str | None
    claimed_decimals: int | None
    sender_address: AddressText
    recipient_address: AddressText
    value: BaseUnitsText


class PastTokenMovesView(View):
    """The token transfers of an address as a gateway tells them; nothing is credited by them."""

    extent: HistoryExtentView
    token_transfers: list[PastTokenMoveView]
