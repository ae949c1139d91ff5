"""What the owner of the devnet's contracts can do, each a transaction or two of his own."""

from __future__ import annotations

from devnet.contracts import catalogue
from devnet.contracts.abi import address_word, array_tail, integer_word, selector_of
from devnet.contracts.catalogue import FAKE_USDT, LEVERS, PAYER, ROUTER, UPGRADED_USDT
from devnet.contracts.forwarding import call_data
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.control.teller import Teller
from devnet.genesis import FAUCET
from devnet.keys import Key

_MULTISEND = "multisend(address,address[],uint256[])"
_HEAD_WORDS = 3
_ALL = 2**256 - 1


class ContractOrders:
    """Pulls the levers of the contracts that the faucet account owns.

    Every method returns the txid of its last transaction and raises RejectedError if the node
    does not take it; what it changes counts from the next block on.
    """

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def set_paused(self, *, paused: bool) -> str:
        """Stop USDT's transfers, or let them go on."""
        return self._teller.pause(paused=paused)

    def set_black_listed(self, address: bytes, *, listed: bool) -> str:
        """Put an address on USDT's black list, or take it off."""
        return self._teller.black_list(address, listed=listed)

    def destroy_black_funds(self, address: bytes) -> str:
        """Take a black-listed address's USDT away, without a Transfer log."""
        return self._usdt("destroyBlackFunds(address)", address)

    def set_fee(self, rate: int, maximum_usdt: int) -> str:
        """Take a fee of each USDT transfer: less than 20 ten-thousandths, less than 50 USDT."""
        return self._usdt("setParams(uint256,uint256)", rate, maximum_usdt)

    def deprecate(self, successor: bytes = UPGRADED_USDT.address) -> str:
        """Let USDT hand its calls to another contract from now on; there is no way back."""
        return self._usdt("deprecate(address)", successor)

    def issue(self, recipient: bytes, amount_micro: int) -> str:
        """Make new USDT; it is issued to the owner, who sends it on."""
        self._usdt("issue(uint256)", amount_micro)
        return self._teller.send_usdt(FAUCET.key, recipient, amount_micro)

    def redeem(self, amount_micro: int) -> str:
        """Destroy USDT of the owner's."""
        return self._usdt("redeem(uint256)", amount_micro)

    def mint(self, recipient: bytes, amount: int, token: bytes = FAKE_USDT.address) -> str:
        """Make new units of a token that is not USDT, the fake one unless another is named."""
        return self._call(token, "mint(address,uint256)", recipient, amount)

    def allow_router(self, holder: Key) -> str:
        """Let the router spend all USDT of one of the chain's own accounts."""
        data = call_data("approve(address,uint256)", ROUTER.address, _ALL)
        return self._teller.call(holder, USDT_CONTRACT_ADDRESS, data)

    def route(
        self,
        holder: Key,
        recipient: bytes,
        amount: int,
        *,
        token: bytes = USDT_CONTRACT_ADDRESS,
    ) -> str:
        """Pay through the router, which must be allowed to spend the holder's tokens."""
        data = call_data("pay(address,address,uint256)", token, recipient, amount)
        return self._teller.call(holder, ROUTER.address, data)

    def route_many(
        self,
        holder: Key,
        payments: list[tuple[bytes, int]],
        *,
        token: bytes = USDT_CONTRACT_ADDRESS,
    ) -> str:
        """Pay several recipients in one transaction, or one recipient several times."""
        recipients = array_tail([address_word(recipient) for recipient, _ in payments])
        amounts = array_tail([integer_word(amount) for _, amount in payments])
        first = _HEAD_WORDS * len(integer_word(0))
        head = address_word(token) + integer_word(first) + integer_word(first + len(recipients))
        data = selector_of(_MULTISEND) + head + recipients + amounts
        return self._teller.call(holder, ROUTER.address, data)

    def pay_internally(self, recipient: bytes, amount_sun: int) -> str:
        """Pay TRX by an internal transfer."""
        data = call_data("pay(address,uint256)", recipient, amount_sun)
        return self._teller.call(FAUCET.key, PAYER.address, data, value_sun=amount_sun)

    def pay_internally_in_vain(self, recipient: bytes, amount_sun: int) -> str:
        """Pay TRX by an internal transfer that is rejected."""
        data = call_data("payAndRevert(address,uint256)", recipient, amount_sun)
        return self._teller.call(FAUCET.key, PAYER.address, data, value_sun=amount_sun)

    def set_energy_factor(self, factor: int, contract: bytes = USDT_CONTRACT_ADDRESS) -> str:
        """Set a contract's energy factor, in ten-thousandths above 1, until the next maintenance."""
        return self._call(LEVERS.address, "setFactor(address,uint256)", contract, factor)

    def set_traffic(self, points: int, contract: bytes = USDT_CONTRACT_ADDRESS) -> str:
        """Say how much energy others use with a contract in every maintenance cycle."""
        return self._call(LEVERS.address, "setTraffic(address,uint256)", contract, points)

    def fail_next(
        self, result: int, times: int = 1, contract: bytes = USDT_CONTRACT_ADDRESS
    ) -> str:
        """Let the next calls of a contract break off with a contractResult, such as OUT_OF_TIME."""
        signature = "failNext(address,uint256,uint256)"
        return self._call(LEVERS.address, signature, contract, result, times)

    def _usdt(self, signature: str, *values: bytes | int) -> str:
        return self._call(USDT_CONTRACT_ADDRESS, signature, *values)

    def _call(self, contract: bytes, signature: str, *values: bytes | int) -> str:
        return self._teller.call(FAUCET.key, contract, call_data(signature, *values))


def named_contracts() -> dict[str, bytes]:
    """The contracts of the first block by their names."""
    return {each.name: each.address for each in catalogue.PLACEMENTS}
