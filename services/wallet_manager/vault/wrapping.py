"""Master keys and what is wrapped under them.

A master key wraps a random data key for each secret, and the data key seals the secret. Network,
record and generation are associated data, so that no record can stand in for another. To replace a
master key only data keys are rewrapped; meanwhile the old master key lies sealed under the new one,
so that whoever has the new one reads every record, rewrapped or not.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.wallet_manager.vault.phrases import ENTROPY_BYTES, entropy_of, material_of
from services.wallet_manager.vault.records import (
    MARK_ID,
    RING_ID,
    SEED_ID,
    Argon2,
    Generation,
    KeyRing,
    SealedSecret,
    SealedSeed,
)
from services.wallet_manager.vault.sealing import (
    KEY_BYTES,
    WrongMasterKey,
    first_label,
    label,
    seal,
    unseal,
    wipe,
)
from shared.config import ConfigurationMissing
from shared.tron.hd import phrase_from_entropy

MASTER_KEY_BYTES: Final = KEY_BYTES
MOST_WORDS: Final = 24
SALT_BYTES: Final = 16
ITERATIONS: Final = 3
LANES: Final = 1
KIB_PER_MIB: Final = 1_024
MIN_MEMORY_KIB: Final = 19 * KIB_PER_MIB
"""Below this the parameters were tampered with (OWASP's least for Argon2id is 19 MiB)."""

MAX_MEMORY_KIB: Final = 2_048 * KIB_PER_MIB
"""Above this a tampered record would exhaust the machine."""

MAX_ITERATIONS: Final = 20
MAX_LANES: Final = 16
_CHECKED: Final = b"lucid-tron master key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What is stored of a seed in the beginning."""

    ring: KeyRing
    secrets: tuple[SealedSecret, ...]


def parse_master_key(secret: bytes) -> bytes:
    """Read the master key: 64 hex digits.

    Raises:
        ConfigurationMissing: it is anything else; the message does not repeat it.
    """
    try:
        key = bytes.fromhex(secret.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigurationMissing("the master key must be 64 hex digits")
    return key


def new_argon2(memory_mib: int) -> Argon2:
    """Return parameters with a fresh salt."""
    return Argon2(
        salt=os.urandom(SALT_BYTES).hex(),
        memory_kib=memory_mib * KIB_PER_MIB,
        iterations=ITERATIONS,
        lanes=LANES,
    )


def stretch(passphrase: bytearray, argon2: Argon2) -> bytearray:
    """Make the master key of a passphrase; takes as long as the parameters say.

    Raises:
        WrongMasterKey: the stored parameters are beyond all limits.
    """
    salt = _unhex(argon2.salt)
    if not (
        len(salt) == SALT_BYTES
        and MIN_MEMORY_KIB <= argon2.memory_kib <= MAX_MEMORY_KIB
        and 1 <= argon2.iterations <= MAX_ITERATIONS
        and 1 <= argon2.lanes <= MAX_LANES
    ):
        raise WrongMasterKey("the stored parameters of the passphrase cannot be: they were altered")
    kdf = Argon2id(
        salt=salt,
        length=MASTER_KEY_BYTES,
        iterations=argon2.iterations,
        lanes=argon2.lanes,
        memory_cost=argon2.memory_kib,
    )
    return bytearray(kdf.derive(passphrase))  # type: ignore[arg-type] # any buffer will do


def generation_of(
    master_key: bytes | bytearray,
    *,
    network: str,
    number: int,
    argon2: Argon2 | None = None,
    before: bytes | bytearray | None = None,
) -> Generation:
    """Describe a master key; with the one before it, that is sealed into its link."""
    link = label(network, RING_ID, number, "link")
    return Generation(
        number=number,
        check=seal(master_key, _CHECKED, label(network, RING_ID, number, "check")),
        argon2=argon2,
        link=None if before is None else seal(master_key, before, link),
    )


def fits(master_key: bytes | bytearray, generation: Generation, *, network: str) -> bool:
    """True when this is the master key of a generation."""
    with suppress(WrongMasterKey):
        unseal(master_key, generation.check, label(network, RING_ID, generation.number, "check"))
        return True
    return False


def key_before(
    master_key: bytes | bytearray, generation: Generation, *, network: str
) -> bytearray | None:
    """Return the master key before this one, if it is linked; raises WrongMasterKey."""
    if generation.link is None:
        return None
    return unseal(master_key, generation.link, label(network, RING_ID, generation.number, "link"))


def seal_secret(
    master_key: bytes | bytearray,
    secret: bytes | bytearray,
    *,
    id: str,  # noqa: A002 - the record's own word
    network: str,
    generation: int,
    at_ms: int,
) -> SealedSecret:
    """Seal a secret under a fresh data key."""
    data_key = bytearray(os.urandom(KEY_BYTES))
    sealed = SealedSecret(
        id=id,
        network=network,
        generation=generation,
        wrapped_key=seal(master_key, data_key, label(network, id, generation, "data-key")),
        sealed=seal(data_key, secret, label(network, id, "secret")),
        created_at_ms=at_ms,
    )
    wipe(data_key)
    return sealed


def open_secret(master_key: bytes | bytearray, record: SealedSecret, *, network: str) -> bytearray:
    """Return the secret, which the caller wipes; raises WrongMasterKey."""
    data_key = _data_key(master_key, record, network)
    try:
        return unseal(data_key, record.sealed, label(network, record.id, "secret"))
    finally:
        wipe(data_key)


def require_whole(
    master_key: bytes | bytearray, secrets: Sequence[SealedSecret], *, network: str
) -> None:
    """Insist that every secret opens, and keep none of them; raises WrongMasterKey."""
    if not {SEED_ID, MARK_ID} <= by_id(secrets).keys():
        raise WrongMasterKey("the seed or the key of the marks is not stored")
    for record in secrets:
        wipe(open_secret(master_key, record, network=network))


def rewrapped(
    record: SealedSecret,
    *,
    old: bytes | bytearray,
    new: bytes | bytearray,
    network: str,
    generation: int,
) -> SealedSecret:
    """Return a record with its data key under another master key; raises WrongMasterKey."""
    data_key = _data_key(old, record, network)
    wrapped_key = seal(new, data_key, label(network, record.id, generation, "data-key"))
    wipe(data_key)
    return replace(record, generation=generation, wrapped_key=wrapped_key)


def new_seed(
    master_key: bytes | bytearray,
    *,
    network: str,
    at_ms: int,
    words: int = MOST_WORDS,
    passphrase: str = "",
) -> tuple[Founding, str]:
    """Make a fresh seed; returns it sealed, and its words, which are to be shown once.

    The key of the marks derives from the seed: with the words alone, old marks can be told again.

    Args:
        master_key: it is sealed under this one.
        network: for which it signs.
        at_ms: now.
        words: 12 or 24.
        passphrase: of BIP-39, which is needed besides the words; empty for none.
    """
    entropy = bytearray(os.urandom(ENTROPY_BYTES[words]))
    phrase = phrase_from_entropy(bytes(entropy))
    wipe(entropy)
    return restored_seed(
        master_key, phrase, network=network, at_ms=at_ms, passphrase=passphrase
    ), phrase


def restored_seed(
    master_key: bytes | bytearray,
    phrase: str,
    *,
    network: str,
    at_ms: int,
    passphrase: str = "",
) -> Founding:
    """Return the seed of words that were written down, sealed; raises PhraseRefused."""
    entropy = entropy_of(phrase)
    material = material_of(entropy, passphrase)
    mark_key = _mark_key(material)
    founding = _founded(
        master_key, {SEED_ID: material, MARK_ID: mark_key}, network=network, at_ms=at_ms
    )
    wipe(entropy, material, mark_key)
    return founding


def migrated(master_key: bytes | bytearray, stored: SealedSeed, *, network: str) -> Founding:
    """Return a seed of the first format in this one, with the key of its marks unchanged.

    That key was derived from the master key; from here on it is a secret of its own, so that a
    re-key changes no mark (hazard H6).

    Raises:
        WrongMasterKey: the seed does not open.
    """
    data_key = unseal(master_key, stored.wrapped_key, first_label(network, SEED_ID, "data-key"))
    entropy = unseal(data_key, stored.sealed, first_label(network, SEED_ID, "entropy"))
    mark_key = _mark_key(master_key)
    founding = _founded(
        master_key,
        {SEED_ID: entropy, MARK_ID: mark_key},
        network=network,
        at_ms=stored.created_at_ms,
    )
    wipe(data_key, entropy, mark_key)
    return founding


def by_id(secrets: Sequence[SealedSecret]) -> dict[str, SealedSecret]:
    """Return records by their ids."""
    return {record.id: record for record in secrets}


def _founded(
    master_key: bytes | bytearray, secrets: dict[str, bytearray], *, network: str, at_ms: int
) -> Founding:
    return Founding(
        ring=KeyRing(network=network, current=generation_of(master_key, network=network, number=1)),
        secrets=tuple(
            seal_secret(master_key, secret, id=id_, network=network, generation=1, at_ms=at_ms)
            for id_, secret in secrets.items()
        ),
    )


def _mark_key(material: bytes | bytearray) -> bytearray:
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"lucid send mark").derive(
        material
    )
    return bytearray(derived)


def _data_key(master_key: bytes | bytearray, record: SealedSecret, network: str) -> bytearray:
    belongs_to = label(network, record.id, record.generation, "data-key")
    return unseal(master_key, record.wrapped_key, belongs_to)


def _unhex(text: str) -> bytes:
    with suppress(ValueError):
        return bytes.fromhex(text)
    return b""
