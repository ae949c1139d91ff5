"""Wallets and deposit addresses: accounts and leaves of one HD tree."""

from dataclasses import dataclass, replace

from shared.errors import Conflict, NotFound
from shared.models.wallet_manager import WalletRole, WalletStatus
from shared.tron.address import Address


class UnknownWallet(NotFound):
    """There is no such wallet."""

    code = "LUCID_ERR_9310"
    title = "Unknown wallet"


class TreasuryExists(Conflict):
    """The stack pays from one treasury, and there is one already."""

    code = "LUCID_ERR_9311"
    title = "There is a treasury already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """One account of the HD tree.

    Attributes:
        id: wal_….
        version: of the record.
        account: index under the coin: m/44'/coin'/account'.
        address: its own address, leaf 0/0; money is paid from here.
        branch: hex of the account's public key and chain code, for deposit addresses.
        next_index: leaf of the next deposit address.
    """

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    user_id: str
    role: WalletRole
    status: WalletStatus
    label: str
    network: str
    coin_type: int
    account: int
    address: Address
    branch: str
    next_index: int = 1
    birth_height: int | None = None
    created_at_ms: int

    @property
    def derivation_path(self) -> str:
        """The path of its own address (BIP-44)."""
        return f"m/44'/{self.coin_type}'/{self.account}'/0/0"

    def locked(self) -> "Wallet":
        """Return the wallet frozen: nothing is signed for it until a person has looked."""
        return replace(self, status=WalletStatus.LOCKED)

    def unlocked(self) -> "Wallet":
        """Return the wallet signing again, after a person looked."""
        return replace(self, status=WalletStatus.ACTIVE)

    def with_next_index(self) -> "Wallet":
        """Return the wallet with one more leaf taken."""
        return replace(self, next_index=self.next_index + 1)


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
