"""What wallet-manager publishes of wallets: their addresses, what they hold, messages they sign."""

import unicodedata
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.models.tron_client import FrozenView, ResourcesView, UnfreezingView, VoteView
from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    DecimalText,
    HexText,
    NaturalId,
    Request,
    SubjectText,
    TimeText,
    View,
)
from shared.money import Currency


class WalletType(StrEnum):
    """Where the keys of a wallet are; ``software`` is another word for ``hot``, in the vault.

    The key of an imported wallet is in the vault too, brought in on its owner's machine. Those of
    cold, hardware and multisig wallets sign elsewhere; a watch-only wallet never sends.
    """

    HOT = "hot"
    SOFTWARE = "software"
    IMPORTED = "imported"
    WATCH_ONLY = "watch_only"
    COLD = "cold"
    HARDWARE = "hardware"
    MULTISIG = "multisig"


class WalletRole(StrEnum):
    """What a wallet is to the stack: the one treasury pays; any other is a plain wallet."""

    TREASURY = "treasury"
    PLAIN = "plain"


class WalletStatus(StrEnum):
    """Whether a wallet may be used."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    LOCKED = "locked"
    ARCHIVED = "archived"


UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that show nothing, turn the direction of others, or mean nothing."""


def _readable(text: str) -> str:
    if any(unicodedata.category(one) in UNSHOWN for one in text):
        raise ValueError("it holds a character that does not show: a control or a format one")
    return unicodedata.normalize("NFC", text)


LabelText = Annotated[str, Field(max_length=120), AfterValidator(_readable)]
OwnerText = Annotated[SubjectText, AfterValidator(_readable)]
"""Two texts that look alike because one composes its accents are one owner."""


class WalletRequest(Request):
    """A wallet to create: the next account under the operator's seed, or one whose keys are elsewhere.

    ``account_public_key`` is the "xpub…" of an account (BIP-32), from which deposit addresses derive;
    with ``address`` alone the wallet is that one address.
    """

    user_id: OwnerText
    wallet_type: WalletType = WalletType.HOT
    role: WalletRole = WalletRole.PLAIN
    label: LabelText = ""
    address: AddressText | None = None
    account_public_key: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    request_id: NaturalId | None = None

    @model_validator(mode="after")
    def _says_where_the_keys_are(self) -> Self:
        is_ours = self.wallet_type in {WalletType.HOT, WalletType.SOFTWARE}
        is_known = self.address is not None or self.account_public_key is not None
        if self.wallet_type is WalletType.IMPORTED:
            raise ValueError(
                "a key is imported on wallet-manager's own machine, never over the API"
            )
        if is_ours and is_known:
            raise ValueError("the address of a hot wallet is made here: leave it out")
        if not is_ours and not is_known:
            raise ValueError(f"a {self.wallet_type} wallet needs its address or account_public_key")
        if self.wallet_type is WalletType.MULTISIG and self.account_public_key is not None:
            raise ValueError("a multisig wallet is one account: give its address alone")
        if self.wallet_type is WalletType.WATCH_ONLY and self.role is WalletRole.TREASURY:
            raise ValueError("the treasury pays; a watch-only wallet cannot")
        return self


class ImportRequest(Request):
    """What is said of a key that its owner brings in on the machine itself; the key is no part of it."""

    user_id: OwnerText = "owner"
    label: LabelText = ""


class WalletView(View):
    """A wallet; its keys are never part of any answer."""

    wallet_id: str
    address: AddressText
    user_id: str
    wallet_type: str
    role: WalletRole
    status: WalletStatus
    label: str
    network: str
    derivation_path: str
    created_at: TimeText


class WalletsQuery(Request):
    """Which wallets to list, and from where."""

    status: WalletStatus | None = None
    user_id: OwnerText | None = None
    wallet_type: WalletType | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class WalletListView(View):
    """A page of wallets."""

    wallets: list[WalletView]
    next: str | None = None


class WalletChange(Request):
    """What is to be different about a wallet: its label, its owner, whether it is in use.

    ``inactive`` also brings an archived wallet back.
    """

    label: LabelText | None = None
    user_id: OwnerText | None = None
    status: Literal[WalletStatus.ACTIVE, WalletStatus.INACTIVE] | None = None
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class LockRequest(Request):
    """Whether a wallet may sign, decided by a person, with the reason for the record."""

    locked: bool
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class BalanceView(View):
    """What the journal says of a wallet at the solid height it has been brought to."""

    wallet_id: str
    address: AddressText
    balance: DecimalText
    balance_base_units: BaseUnitsText
    available: DecimalText
    available_base_units: BaseUnitsText
    held: DecimalText
    held_base_units: BaseUnitsText
    currency: Currency


class HoldingView(View):
    """One account of the journal beside what a node tells of it.

    ``account`` is the address itself, or it with ``staked:`` or ``unfreezing:`` before it. ``recorded``
    is of the solid height that the books have come to, ``on_chain`` of the head; None where the chain
    did not say.
    """

    account: str
    currency: Currency
    on_chain: DecimalText | None
    on_chain_base_units: BaseUnitsText | None
    recorded: DecimalText
    recorded_base_units: BaseUnitsText
    held_base_units: BaseUnitsText


class HoldingsView(View):
    """What a wallet or one of its addresses holds, with its resources; nothing is spent by it."""

    wallet_id: str
    address: AddressText
    activated: bool
    block_height: int
    block_time: TimeText
    age_s: int
    holdings: list[HoldingView]
    resources: ResourcesView
    staked: list[FrozenView]
    delegated: list[FrozenView]
    received: list[FrozenView]
    unfreezing: list[UnfreezingView]
    votes: list[VoteView]


class AddressRequest(Request):
    """A deposit address to derive; the same request id always gives the same address."""

    request_id: NaturalId
    purpose: Annotated[str, Field(min_length=1, max_length=60)]


class AddressView(View):
    """A deposit address that tron-client has durably promised to watch from its birth height."""

    address: AddressText
    wallet_id: str
    index: int
    derivation_path: str
    birth_height: int


class AddressesRequest(Request):
    """Deposit addresses to derive at once; each request id always gives the same address."""

    requests: Annotated[list[AddressRequest], Field(min_length=1, max_length=1_000)]


class AddressesView(View):
    """Deposit addresses in the order of the requests, each watched from its birth height."""

    addresses: list[AddressView]


class MessageText(Request):
    """A message as text, or as hexadecimal digits of its bytes."""

    message: Annotated[str, Field(max_length=32_768)]
    encoding: Literal["utf8", "hex"] = "utf8"


class VerifyMessageRequest(MessageText):
    """A message, its signature of 65 bytes, and the address that should have made it."""

    address: AddressText
    signature: Annotated[HexText, Field(max_length=130)]


class SignedMessageView(View):
    """A signature under TIP-191 version 2 (TronWeb signMessageV2)."""

    address: AddressText
    digest: HexText
    signature: HexText


class VerifiedMessageView(View):
    """Whether the address signed it; ``signer`` is who did, where any key can have."""

    valid: bool
    signer: AddressText | None
