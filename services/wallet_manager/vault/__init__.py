"""The keys: how they are stored, and the only place where anything is signed."""

from services.wallet_manager.domain.keys import Imported, Leaf
from services.wallet_manager.vault.keys import (
    NoKey,
    SignatureRefused,
    Signed,
    Vault,
    VaultLocked,
    key_address,
    leaf_address,
)
from services.wallet_manager.vault.records import (
    MARK_ID,
    RING_ID,
    SEED_ID,
    KeyRing,
    SealedSecret,
    SealedSeed,
)
from services.wallet_manager.vault.sealing import WrongMasterKey, wipe
from services.wallet_manager.vault.wrapping import (
    Founding,
    migrated,
    new_seed,
    parse_master_key,
    restored_seed,
)

__all__ = [
    "MARK_ID",
    "RING_ID",
    "SEED_ID",
    "Founding",
    "Imported",
    "KeyRing",
    "Leaf",
    "NoKey",
    "SealedSecret",
    "SealedSeed",
    "SignatureRefused",
    "Signed",
    "Vault",
    "VaultLocked",
    "WrongMasterKey",
    "key_address",
    "leaf_address",
    "migrated",
    "new_seed",
    "parse_master_key",
    "restored_seed",
    "wipe",
]
