"""Protobuf as the node's JSON and back (java-tron's JsonFormat and Util).

Defaults are left out, integers are numbers, enums are names, bytes are hex, maps are lists of
key and value. With `visible`, addresses are base58check and the few fields that hold text are
text. Input is read as strictly as java-tron reads it: a number in quotes is no number.
"""

from devnet.json_format.errors import JavaError, ParseError, null_pointer
from devnet.json_format.parsing import parsed
from devnet.json_format.printing import printed, printed_address
from devnet.json_format.scalars import address_bytes, hex_bytes, integer, is_true
from devnet.json_format.transactions import (
    parsed_transaction,
    printed_block,
    printed_transaction,
)

__all__ = [
    "JavaError",
    "ParseError",
    "address_bytes",
    "hex_bytes",
    "integer",
    "is_true",
    "null_pointer",
    "parsed",
    "parsed_transaction",
    "printed",
    "printed_address",
    "printed_block",
    "printed_transaction",
]
