"""A contract that pays TRX: it arrives by internal transfer, in no transaction of its own."""

from __future__ import annotations

from devnet.contracts.abi import Arguments, Interface, integer_word
from devnet.contracts.contract import DISPATCH, SolidityContract, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.halt import RevertError

_INTERFACE = Interface(
    """
    payable deposit()
    payable pay(address to, uint256 amount)
    payable tryPay(address to, uint256 amount) -> (bool)
    payable multipay(address[] to, uint256[] amounts)
    payable payAndRevert(address to, uint256 amount)
    """
)
_ROUND = Code(ones=4, twos=8, threes=40, fives=4, eights=4, tens=4)


class Payer(SolidityContract):
    """Takes TRX from anybody, with any call, and pays it to whom its caller says."""

    kind = "payer"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "deposit": lambda _frame, _arguments: b"",
                "pay": _pay,
                "tryPay": _try_pay,
                "multipay": _multipay,
                "payAndRevert": _pay_and_revert,
            },
        )

    def fall_back(self, frame: Frame) -> bytes:
        """Keep TRX that comes along without call data."""
        if frame.data:
            return super().fall_back(frame)
        frame.run(DISPATCH)
        return b""


def _pay(frame: Frame, arguments: Arguments) -> bytes:
    require(_paid(frame, arguments.address(0), arguments.number(1)))
    return b""


def _try_pay(frame: Frame, arguments: Arguments) -> bytes:
    """Pay, and go on when the recipient refuses: the internal transfer is rejected then."""
    return integer_word(_paid(frame, arguments.address(0), arguments.number(1)))


def _multipay(frame: Frame, arguments: Arguments) -> bytes:
    recipients, amounts = arguments.addresses(0), arguments.numbers(1)
    require(len(recipients) == len(amounts))
    for recipient, amount in zip(recipients, amounts, strict=True):
        require(_paid(frame, recipient, amount))
    return b""


def _pay_and_revert(frame: Frame, arguments: Arguments) -> bytes:
    """Pay, then undo everything: the receipt shows the internal transfer as rejected."""
    _pay(frame, arguments)
    raise RevertError


def _paid(frame: Frame, recipient: bytes, amount_sun: int) -> bool:
    frame.run(_ROUND)
    return frame.call(recipient, value_sun=amount_sun).succeeded
