"""The keys: how they are stored, and the only place where anything is signed."""

from services.wallet_manager.vault.keys import (
    Leaf,
    SignatureRefused,
    Signed,
    Vault,
    VaultLocked,
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
from services.wallet_manager.vault.wrapping import Founding, migrated, new_seed, parse_master_key

__all__ = [
    "MARK_ID",
    "RING_ID",
    "SEED_ID",
    "Founding",
    "KeyRing",
    "Leaf",
    "SealedSecret",
    "SealedSeed",
    "SignatureRefused",
    "Signed",
    "Vault",
    "VaultLocked",
    "WrongMasterKey",
    "leaf_address",
    "migrated",
    "new_seed",
    "parse_master_key",
    "wipe",
]
