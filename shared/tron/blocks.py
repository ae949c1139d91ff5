"""Recompute what a block claims about itself: its id, its transaction root, its producer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from shared.tron import protocol_pb2 as pb
from shared.tron.address import Address
from shared.tron.signing import recover_address

HASH_LENGTH: Final = 32
EMPTY_ROOT: Final = bytes(HASH_LENGTH)

_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_HEIGHT_LENGTH: Final = 8
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")


class InvalidHeader(ValueError):
    """A block header whose fields cannot be what a node stores.

    Attributes:
        field: the name of the field in a node's JSON.
    """

    def __init__(self, *, field: str) -> None:
        super().__init__(f"block header field {field} is malformed")
        self.field = field


class BlockIdMismatch(ValueError):
    """A block that is not the one its id names.

    Attributes:
        claimed: the id the block came with.
        computed: the id its header has.
    """

    def __init__(self, *, claimed: str, computed: str) -> None:
        super().__init__(f"block calls itself {claimed} but is {computed}")
        self.claimed = claimed
        self.computed = computed


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """The signed part of a block (java-tron Tron.proto, message BlockHeader.raw).

    ``timestamp_ms`` is Unix milliseconds, 0 in a genesis block. ``witness_address`` is 21 bytes,
    except in a genesis block, which carries a sentence there.

    Raises:
        InvalidHeader: a number out of its range.
    """

    number: int
    timestamp_ms: int
    transaction_root: bytes
    parent_hash: bytes
    witness_address: bytes
    version: int = 0
    account_state_root: bytes = b""
    witness_id: int = 0

    def __post_init__(self) -> None:
        _require_range("number", self.number, _INT64_MAX)
        _require_range("timestamp", self.timestamp_ms, _INT64_MAX)
        _require_range("witness_id", self.witness_id, _INT64_MAX)
        _require_range("version", self.version, _INT32_MAX)

    @classmethod
    def from_json(cls, raw_data: Mapping[str, Any]) -> Self:
        """Read ``block_header.raw_data`` as a node prints it without ``visible``.

        Absent members have their proto3 defaults.

        Raises:
            InvalidHeader: a member of another type or not hexadecimal.
        """
        return cls(
            number=_number(raw_data, "number"),
            timestamp_ms=_number(raw_data, "timestamp"),
            transaction_root=_blob(raw_data, "txTrieRoot"),
            parent_hash=_blob(raw_data, "parentHash"),
            witness_address=_blob(raw_data, "witness_address"),
            version=_number(raw_data, "version"),
            account_state_root=_blob(raw_data, "accountStateRoot"),
            witness_id=_number(raw_data, "witness_id"),
        )

    def serialised(self) -> bytes:
        """Return the canonical bytes that are hashed into the id and signed by the producer."""
        return pb.BlockHeader.raw(
            timestamp=self.timestamp_ms,
            txTrieRoot=self.transaction_root,
            parentHash=self.parent_hash,
            number=self.number,
            witness_id=self.witness_id,
            witness_address=self.witness_address,
            version=self.version,
            accountStateRoot=self.account_state_root,
        ).SerializeToString(deterministic=True)


def block_id(header: BlockHeader) -> str:
    """Return 64 hexadecimal digits: 8 bytes of height, then bytes 8 to 31 of the header's sha256.

    Source: java-tron BlockCapsule.getBlockId and Sha256Hash.generateBlockId.
    """
    digest = sha256(header.serialised()).digest()
    height = header.number.to_bytes(_HEIGHT_LENGTH, "big")
    return (height + digest[_HEIGHT_LENGTH:]).hex()


def verify_block_id(header: BlockHeader, *, claimed: str) -> None:
    """Check that a header has the id it came with.

    Raises:
        BlockIdMismatch: it has another.
    """
    computed = block_id(header)
    if computed != claimed:
        raise BlockIdMismatch(claimed=claimed, computed=computed)


def transaction_leaf(transaction: bytes) -> bytes:
    """Hash one whole transaction as stored in a block: raw data, signatures and result."""
    return sha256(transaction).digest()


def transaction_root(leaves: Sequence[bytes]) -> bytes:
    """Fold 32-byte leaves into the root a header carries; no leaves give 32 zero bytes.

    An odd last node moves up unchanged.

    Source: java-tron MerkleTree.java and BlockCapsule.calcMerkleRoot.
    """
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        pairs = (level[start : start + 2] for start in range(0, len(level), 2))
        level = [pair[0] if len(pair) == 1 else sha256(b"".join(pair)).digest() for pair in pairs]
    return level[0]


def header_signer(header_raw_bytes: bytes, signature: bytes) -> Address:
    """Return who signed a header: its witness, or the key of that witness's permission.

    Raises:
        InvalidSignature: the signature is not one of 65 bytes from which a key can be recovered.

    Source: java-tron BlockCapsule.validateSignature.
    """
    return recover_address(sha256(header_raw_bytes).digest(), signature)


def _require_range(field: str, number: int, maximum: int) -> None:
    if type(number) is not int or not 0 <= number <= maximum:
        raise InvalidHeader(field=field)


def _number(raw_data: Mapping[str, Any], name: str) -> int:
    number = raw_data.get(name, 0)
    if type(number) is not int:
        raise InvalidHeader(field=name)
    return number


def _blob(raw_data: Mapping[str, Any], name: str) -> bytes:
    text = raw_data.get(name, "")
    if not isinstance(text, str) or _HEX.fullmatch(text) is None:
        raise InvalidHeader(field=name)
    return bytes.fromhex(text)
