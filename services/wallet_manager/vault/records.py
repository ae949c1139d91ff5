"""What is stored of the keys: secrets under data keys, data keys under a master key, and no more.

All texts of bytes are hex. A generation is one master key; its number rises with every re-key.
"""

from dataclasses import dataclass
from typing import Final

SEED_ID: Final = "seed"
MARK_ID: Final = "mark"
RING_ID: Final = "ring"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSeed:
    """The seed as the first format stored it, without a generation; it is read, never written.

    Attributes:
        wrapped_key: nonce and data key, under the master key.
        sealed: nonce and entropy, under the data key.
    """

    id: str = SEED_ID
    version: int = 0
    network: str
    wrapped_key: str
    sealed: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """One secret as stored.

    Attributes:
        id: which secret: ``seed`` the entropy, ``mark`` the key of the marks (hazard H6).
        generation: the master key that its data key is wrapped under.
        wrapped_key: nonce and data key; a re-key replaces it and ``generation``, nothing else.
        sealed: nonce and secret, under the data key.
    """

    id: str
    version: int = 0
    network: str
    generation: int
    wrapped_key: str
    sealed: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2:
    """How a master key is made of a passphrase (RFC 9106, Argon2id).

    Attributes:
        salt: 16 bytes in hex.
    """

    salt: str
    memory_kib: int
    iterations: int
    lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One master key, without the key.

    Attributes:
        check: opens under this master key and no other.
        argon2: how it is made of a passphrase; None for a key in a file.
        link: the master key before it, sealed under this one, while records are rewrapped.
    """

    number: int
    check: str
    argon2: Argon2 | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Which master keys are in use.

    Attributes:
        current: the one that every record is wrapped under, unless there is a next one.
        next: the one that records are being rewrapped under.
    """

    id: str = RING_ID
    version: int = 0
    network: str
    current: Generation
    next: Generation | None = None

    @property
    def newest(self) -> Generation:
        """The master key that opens everything, through its link if need be."""
        return self.next or self.current
