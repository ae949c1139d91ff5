"""Wallets and deposit addresses: accounts and leaves of one HD tree, or what others keep the keys of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain.keys import Imported, KeyName, Leaf
from shared.errors import Conflict, NotFound
from shared.models.wallet_manager import WalletRole, WalletStatus, WalletType
from shared.tron.address import Address


class UnknownWallet(NotFound):
    """There is no such wallet."""

    code = "LUCID_ERR_9310"
    title = "Unknown wallet"


class TreasuryExists(Conflict):
    """The stack pays from one treasury, and there is one already."""

    code = "LUCID_ERR_9311"
    title = "There is a treasury already"


class NoAddresses(Conflict):
    """The wallet hands out no addresses: only one is known of it, or it is out of use."""

    code = "LUCID_ERR_9345"
    title = "The wallet hands out no addresses"


class AddressTaken(Conflict):
    """The address is that of another wallet, or a deposit address of one."""

    code = "LUCID_ERR_9346"
    title = "The address is taken"


class IllegalStatus(Conflict):
    """A wallet does not go from its status to that one; ``wallet_status`` is where it is."""

    code = "LUCID_ERR_9347"
    title = "Illegal change of status"


class WalletNotEmpty(Conflict):
    """There is money on it or a send under way; ``reasons`` says what."""

    code = "LUCID_ERR_9348"
    title = "The wallet is not empty"


class CannotSign(Conflict):
    """Nothing is signed for this wallet: its key is elsewhere, or it is not active."""

    code = "LUCID_ERR_9349"
    title = "The wallet cannot sign"


TRANSITIONS: Final[Mapping[WalletStatus, frozenset[WalletStatus]]] = {
    WalletStatus.ACTIVE: frozenset(
        {WalletStatus.INACTIVE, WalletStatus.LOCKED, WalletStatus.ARCHIVED}
    ),
    WalletStatus.INACTIVE: frozenset(
        {WalletStatus.ACTIVE, WalletStatus.LOCKED, WalletStatus.ARCHIVED}
    ),
    WalletStatus.LOCKED: frozenset({WalletStatus.ACTIVE}),
    WalletStatus.ARCHIVED: frozenset({WalletStatus.INACTIVE, WalletStatus.LOCKED}),
}
"""Where a wallet may go.

A locked one goes back only by an unlock, which people agree to. An archived one still has its keys and
watches: it is locked if its key was misused, and comes back for money that arrived afterwards.
"""

OUT_OF_USE: Final = frozenset({WalletStatus.INACTIVE, WalletStatus.ARCHIVED})
"""Statuses in which a wallet hands out no addresses; it signs in none but ``active``."""

MADE_HERE: Final = frozenset({WalletType.HOT, WalletType.SOFTWARE})
"""Types whose key derives from the seed."""

KEPT_HERE: Final = MADE_HERE | {WalletType.IMPORTED}
"""Types whose key is in the vault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """One account of the HD tree, or an account or address of which others keep the key.

    Attributes:
        id: wal_….
        version: of the record.
        type: where its keys are.
        account: index under the coin: m/44'/coin'/account'; None where the key is elsewhere.
        address: its own address, leaf 0/0; money is paid from here.
        branch: hex of the account's public key and chain code, for deposit addresses; empty where
            only the address is known.
        next_index: leaf of the next deposit address.
        locks: how often it was locked; people agree to the end of one lock, not of the next.
    """

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    user_id: str
    role: WalletRole
    type: WalletType = WalletType.HOT
    status: WalletStatus
    label: str
    network: str
    coin_type: int
    account: int | None
    address: Address
    branch: str
    next_index: int = 1
    birth_height: int | None = None
    locks: int = 0
    created_at_ms: int

    @property
    def derivation_path(self) -> str:
        """The path of its own address (BIP-44); see ``path_of``."""
        return self.path_of(0)

    def path_of(self, index: int) -> str:
        """Return the path of a leaf: below the account where the root is not ours, empty without any."""
        if not self.branch:
            return ""
        below = f"0/{index}"
        return below if self.account is None else f"m/44'/{self.coin_type}'/{self.account}'/{below}"

    @property
    def signs_alone(self) -> bool:
        """True when the key kept here is all that a transaction of this wallet takes (hazard H7)."""
        return self.type in KEPT_HERE

    def takes_sweeps_of(self, wallet_id: str) -> bool:
        """True for the treasury, and for what is paid from its own deposit addresses.

        No cap bears on a sweep, and whoever may make wallets could make many (hazard H18): with a key
        elsewhere they would be anybody's, with one here each would have caps of its own.
        """
        return self.id == wallet_id or self.role is WalletRole.TREASURY

    def own_key(self) -> KeyName:
        """Say which key of the vault is that of its address; raises CannotSign if it is elsewhere."""
        if self.type is WalletType.IMPORTED:
            return Imported(wallet_id=self.id)
        if self.account is None or not self.signs_alone:
            raise CannotSign(
                "its key is not kept here", wallet_id=self.id, wallet_type=self.type.value
            )
        return Leaf(account=self.account, index=0)

    def key_of(self, leaf: int) -> KeyName:
        """Say which key of the vault is that of one of its addresses; raises CannotSign."""
        key = self.own_key()
        if leaf == 0:
            return key
        if not isinstance(key, Leaf):
            raise CannotSign("no other address derives from it", wallet_id=self.id)
        return replace(key, index=leaf)

    def require_sends(self) -> None:
        """Refuse what can never be signed; an inactive or locked wallet's sends wait.

        Raises:
            CannotSign: it is only watched, or it is archived.
        """
        if self.type is WalletType.WATCH_ONLY:
            raise CannotSign("it is only watched", wallet_id=self.id)
        if self.status is WalletStatus.ARCHIVED:
            raise CannotSign("it is archived", wallet_id=self.id)

    def require_addresses(self) -> None:
        """Refuse to hand out deposit addresses; raises NoAddresses."""
        if not self.branch:
            raise NoAddresses("no other address derives from it", wallet_id=self.id)
        if self.status in OUT_OF_USE:
            raise NoAddresses(f"it is {self.status}", wallet_id=self.id)

    def require_active(self) -> None:
        """Refuse signing, here or elsewhere, while it is out of use or locked; raises CannotSign."""
        if self.status is not WalletStatus.ACTIVE:
            raise CannotSign(
                f"it is {self.status}", wallet_id=self.id, wallet_status=self.status.value
            )

    def require_signing(self) -> KeyName:
        """Say which key may sign now; raises CannotSign."""
        self.require_active()
        return self.own_key()

    def renamed(self, *, label: str | None, user_id: str | None) -> "Wallet":
        """Return the wallet with another label or owner, where one is given."""
        label = self.label if label is None else label
        return replace(self, label=label, user_id=user_id or self.user_id)

    def moved(self, status: WalletStatus) -> "Wallet":
        """Return the wallet in another status; raises IllegalStatus."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalStatus(
                f"it is {self.status} and cannot become {status}",
                wallet_id=self.id,
                wallet_status=self.status.value,
            )
        return replace(self, status=status)

    def locked(self) -> "Wallet":
        """Return the wallet frozen: nothing is signed for it until a person has looked."""
        if self.status is WalletStatus.LOCKED:
            return self
        return replace(self.moved(WalletStatus.LOCKED), locks=self.locks + 1)

    def unlocked(self) -> "Wallet":
        """Return the wallet signing again, after a person looked; one that is not locked stays."""
        return self.moved(WalletStatus.ACTIVE) if self.status is WalletStatus.LOCKED else self

    def with_next_index(self) -> "Wallet":
        """Return the wallet with one more leaf taken."""
        return replace(self, next_index=self.next_index + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletFilter:
    """Which wallets to list: those that have everything that is given."""

    status: WalletStatus | None = None
    user_id: str | None = None
    type: WalletType | None = None

    def takes(self, wallet: Wallet) -> bool:
        """True for a wallet that is meant."""
        type_ = WalletType.HOT if self.type in MADE_HERE else self.type
        return (
            self.status in {None, wallet.status}
            and self.user_id in {None, wallet.user_id}
            and type_ in {None, wallet.type}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAddress:
    """A leaf handed out to receive money; never unwatched once shown (hazard H11).

    Attributes:
        id: the address itself.
        identity: hash of wallet and request, unique: a repeat finds the same address.
        birth_height: every transfer above this block is told by tron-client; None until promised.
    """

    id: Address
    version: int = 0
    identity: str
    wallet_id: str
    index: int
    path: str
    purpose: str
    birth_height: int | None = None
    created_at_ms: int
