"""Seeds as people write them down: 12 or 24 words, with or without a passphrase of their own (BIP-39)."""

from typing import Final

from mnemonic import Mnemonic

from shared.errors import BadRequest
from shared.tron.hd import phrase_from_entropy, seed_from_phrase

ENTROPY_BYTES: Final = {12: 16, 24: 32}
"""By the number of words."""

SEED_BYTES: Final = 64
_ENGLISH: Final = Mnemonic("english")
_LISTED: Final = frozenset(_ENGLISH.wordlist)


class PhraseRefused(BadRequest):
    """Words that are no phrase; they are named by their places and never repeated."""


def entropy_of(phrase: str) -> bytearray:
    """Return the entropy of a phrase of 12 or 24 English words; white space and case do not matter.

    Raises:
        PhraseRefused: another number of words, a word that is not on the list, a wrong checksum.
    """
    words = phrase.lower().split()
    if len(words) not in ENTROPY_BYTES:
        raise PhraseRefused(f"a phrase has 12 or 24 words; these are {len(words)}")
    if strange := [str(at) for at, word in enumerate(words, start=1) if word not in _LISTED]:
        told = f"word {strange[0]} is" if len(strange) == 1 else f"words {', '.join(strange)} are"
        raise PhraseRefused(f"{told} not on the English list of BIP-39: look at the spelling")
    if not _ENGLISH.check(" ".join(words)):
        raise PhraseRefused(
            "every word is on the list, but the checksum does not fit: one of them is another word, "
            "or two are in each other's place"
        )
    return bytearray(_ENGLISH.to_entropy(words))


def material_of(entropy: bytearray, passphrase: str) -> bytearray:
    """Return what is kept of a phrase: its entropy, or with a passphrase the seed of 64 bytes."""
    if not passphrase:
        return bytearray(entropy)
    return bytearray(seed_from_phrase(phrase_from_entropy(bytes(entropy)), passphrase))


def seed_of(material: bytearray) -> bytes:
    """Return the seed of 64 bytes of what is kept."""
    if len(material) == SEED_BYTES:
        return bytes(material)
    return seed_from_phrase(phrase_from_entropy(bytes(material)))
