"""Building the creation of a contract."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from devnet.api.builders import printed_unsigned, unsigned, with_permission
from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain_pb2 import CreateSmartContract, SmartContract
from devnet.json_format import JavaError, ParseError, parsed
from devnet.json_format.scalars import plain_hex

_NUMBER_ERROR = "java.lang.NumberFormatException"
_ARITHMETIC_ERROR = "java.lang.ArithmeticException"
_VALIDATE_ERROR = "org.tron.core.exception.ContractValidateException"
_LONG_LIMIT = 2**63
_WHOLE_PERCENT = 100


def deploy_contract(view: View, request: Request) -> Any:
    """Build the creation of a contract; nothing but its share of energy is checked.

    Raises:
        JavaError: A parameter cannot be read.
    """
    abi = parsed(SmartContract.ABI, {"entrys": _abi_entries(request)}, visible=request.visible)
    owner = request.address("owner_address")
    percent = long_of(request, "consume_user_resource_percent")
    if not 0 <= percent <= _WHOLE_PERCENT:
        raise JavaError(_VALIDATE_ERROR, "percent must be >= 0 and <= 100")
    contract = SmartContract(
        origin_address=owner,
        abi=abi,
        bytecode=plain_hex(request.text("bytecode") + request.text("parameter")),
        call_value=long_of(request, "call_value"),
        consume_user_resource_percent=percent,
        name=request.text("name"),
        origin_energy_limit=long_of(request, "origin_energy_limit"),
    )
    creation = CreateSmartContract(
        owner_address=owner,
        new_contract=contract,
        call_token_value=long_of(request, "call_token_value"),
        token_id=long_of(request, "token_id"),
    )
    transaction = unsigned(view.node, creation, fee_limit_sun=long_of(request, "fee_limit"))
    return printed_unsigned(with_permission(transaction, request), visible=request.visible)


def long_of(request: Request, name: str) -> int:
    """A number as Util.getJsonLongValue reads it: decimals and texts will do, 0 unless given.

    Raises:
        JavaError: It is none, not whole, or takes more than 64 bits.
    """
    value = request.document.get(name)
    if value is None or value == "":
        return 0
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise JavaError(_NUMBER_ERROR, f'For input string: "{value}"') from error
    if not number.is_finite() or abs(number) >= _LONG_LIMIT:
        raise JavaError(_ARITHMETIC_ERROR, "Overflow")
    if number != int(number):
        raise JavaError(_ARITHMETIC_ERROR, "Rounding necessary")
    return int(number)


def _abi_entries(request: Request) -> list[Any]:
    """The entries, which come as a text of JSON or as they are.

    Raises:
        JavaError: They are neither.
    """
    abi = request.document.get("abi") or []
    if isinstance(abi, str):
        try:
            abi = msgspec.json.decode(abi)
        except msgspec.DecodeError as error:
            raise ParseError("Expected identifier.", field="abi") from error
    if not isinstance(abi, list):
        raise ParseError('Expected "{".', field="abi")
    return abi
