"""Orders about accounts, payments, tokens, contracts and parameters; each is a transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devnet.address import to_base58
from devnet.chain_pb2 import Transaction
from devnet.contracts.catalogue import FAKE_USDT, UPGRADED_USDT
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS
from devnet.control import orders
from devnet.control.contract_orders import ContractOrders, named_contracts
from devnet.control.orders import BadOrderError
from devnet.control.paths import ControlPath, Order
from devnet.control.teller import Teller
from devnet.genesis import CHAIN_ID, FAUCET, GENESIS_BLOCK_ID, HOLDERS

_TXID = '`{"txid"}`'
_ENERGY_FEE = "getEnergyFee"
_FACTOR_MAX = 100_000
_PRICE_MAX_SUN = 10**17
_POINTS_MAX = 10**15
_UNITS_MAX = 2**256 - 1
_FEE_RATE_MAX = 19
_FEE_USDT_MAX = 49


@dataclass(frozen=True, kw_only=True)
class MoneyDesk:
    """Pays, and pulls the levers of the contracts that the faucet account owns."""

    teller: Teller

    @cached_property
    def contracts(self) -> ContractOrders:
        """The orders to the contracts' owner."""
        return ContractOrders(self.teller)

    def network(self, _order: Order) -> Order:
        """The constants of the chain."""
        return {
            "genesis_block_id": GENESIS_BLOCK_ID,
            "chain_id": CHAIN_ID,
            "usdt_contract": USDT_CONTRACT,
            "faucet": to_base58(FAUCET.key.address),
        }

    def accounts(self, _order: Order) -> Order:
        """The chain's own accounts, keys included: it is a development chain."""
        return {
            "accounts": [
                {
                    "name": holder.key.name,
                    "address": to_base58(holder.key.address),
                    "private_key": holder.key.secret.hex(),
                }
                for holder in HOLDERS
            ]
        }

    def listed_contracts(self, _order: Order) -> Order:
        """The contracts of the first block."""
        return {
            "contracts": [
                {"name": name, "address": to_base58(address)}
                for name, address in named_contracts().items()
            ]
        }

    def faucet(self, order: Order) -> Order:
        """Send TRX, USDT or both from the faucet account."""
        recipient = orders.address_of(order.get("address"), "address")
        trx, usdt = order.get("trx"), order.get("usdt")
        if trx is None and usdt is None:
            raise BadOrderError("name trx, usdt or both")
        trx_sun = None if trx is None else orders.amount_of(trx, "trx")
        usdt_micro = None if usdt is None else orders.amount_of(usdt, "usdt")

        txids: list[str] = []
        if trx_sun is not None:
            txids.append(self.teller.send_trx(FAUCET.key, recipient, trx_sun))
        if usdt_micro is not None:
            txids.append(self.teller.send_usdt(FAUCET.key, recipient, usdt_micro))
        return {"txids": txids}

    def transfer(self, order: Order) -> Order:
        """Send TRX or USDT from one of the chain's own accounts."""
        sender = orders.key_of(order.get("from"), "from")
        recipient = orders.address_of(order.get("to"), "to")
        amount = orders.amount_of(order.get("amount"), "amount")
        match order.get("currency"):
            case "TRX":
                return {"txid": self.teller.send_trx(sender, recipient, amount)}
            case "USDT":
                return {"txid": self.teller.send_usdt(sender, recipient, amount)}
            case _:
                raise BadOrderError("currency must be TRX or USDT")

    def black_list(self, order: Order) -> Order:
        """Change the USDT black list with the next block."""
        address = orders.address_of(order.get("address"), "address")
        listed = orders.flag_of(order.get("listed"), "listed")
        return {"txid": self.contracts.set_black_listed(address, listed=listed)}

    def destroy(self, order: Order) -> Order:
        """Take a black-listed address's USDT away."""
        address = orders.address_of(order.get("address"), "address")
        return {"txid": self.contracts.destroy_black_funds(address)}

    def pause(self, order: Order) -> Order:
        """Pause or unpause USDT with the next block."""
        paused = orders.flag_of(order.get("paused"), "paused")
        return {"txid": self.contracts.set_paused(paused=paused)}

    def fee(self, order: Order) -> Order:
        """Let USDT take a fee of each transfer."""
        rate = orders.whole_of(order.get("rate"), "rate", low=0, high=_FEE_RATE_MAX)
        most = order.get("maximum_usdt", _FEE_USDT_MAX)
        maximum = orders.whole_of(most, "maximum_usdt", low=0, high=_FEE_USDT_MAX)
        return {"txid": self.contracts.set_fee(rate, maximum)}

    def deprecate(self, order: Order) -> Order:
        """Let USDT hand its calls to another contract, for good."""
        to = _contract_of(order.get("successor"), "successor", UPGRADED_USDT.address)
        return {"txid": self.contracts.deprecate(to)}

    def issue(self, order: Order) -> Order:
        """Make new USDT for an address."""
        recipient = orders.address_of(order.get("address"), "address")
        amount = orders.amount_of(order.get("amount"), "amount")
        return {"txid": self.contracts.issue(recipient, amount)}

    def redeem(self, order: Order) -> Order:
        """Destroy USDT of the owner's."""
        return {"txid": self.contracts.redeem(orders.amount_of(order.get("amount"), "amount"))}

    def mint(self, order: Order) -> Order:
        """Make new units of a token that is not USDT."""
        recipient = orders.address_of(order.get("address"), "address")
        units = orders.whole_of(order.get("units"), "units", low=1, high=_UNITS_MAX)
        token = _contract_of(order.get("token"), "token", FAKE_USDT.address)
        return {"txid": self.contracts.mint(recipient, units, token)}

    def energy_factor(self, order: Order) -> Order:
        """Set a contract's energy factor until the next maintenance."""
        factor = orders.whole_of(order.get("factor"), "factor", low=0, high=_FACTOR_MAX)
        contract = _contract_of(order.get("contract"), "contract", USDT_CONTRACT_ADDRESS)
        return {"txid": self.contracts.set_energy_factor(factor, contract)}

    def energy_use(self, order: Order) -> Order:
        """Say how much energy others use with a contract."""
        points = orders.whole_of(order.get("points"), "points", low=0, high=_POINTS_MAX)
        contract = _contract_of(order.get("contract"), "contract", USDT_CONTRACT_ADDRESS)
        return {"txid": self.contracts.set_traffic(points, contract)}

    def fail_next(self, order: Order) -> Order:
        """Let the next calls of a contract break off."""
        results = Transaction.Result.contractResult
        result = order.get("result", "OUT_OF_TIME")
        if result not in results.keys():  # noqa: SIM118 (not a dict)
            raise BadOrderError(f"result must be one of {', '.join(results.keys())}")
        times = orders.count_of(order.get("times", 1), "times")
        contract = _contract_of(order.get("contract"), "contract", USDT_CONTRACT_ADDRESS)
        return {"txid": self.contracts.fail_next(results.Value(result), times, contract)}

    def allow_router(self, order: Order) -> Order:
        """Let the router spend an account's USDT."""
        return {"txid": self.contracts.allow_router(orders.key_of(order.get("from"), "from"))}

    def route(self, order: Order) -> Order:
        """Pay USDT through the router, once or several times in one transaction."""
        sender = orders.key_of(order.get("from"), "from")
        payments = order.get("payments")
        if not isinstance(payments, list) or not payments:
            raise BadOrderError('payments must be a list of {"to", "amount"}')
        read = [_payment_of(each) for each in payments]
        if len(read) == 1:
            return {"txid": self.contracts.route(sender, *read[0])}
        return {"txid": self.contracts.route_many(sender, read)}

    def pay_internally(self, order: Order) -> Order:
        """Pay TRX by an internal transfer, or in vain."""
        recipient = orders.address_of(order.get("to"), "to")
        amount = orders.amount_of(order.get("amount"), "amount")
        in_vain = orders.flag_of(order.get("in_vain", False), "in_vain")
        pay = self.contracts.pay_internally_in_vain if in_vain else self.contracts.pay_internally
        return {"txid": pay(recipient, amount)}

    def parameters(self, order: Order) -> Order:
        """Change chain parameters with the next block."""
        return {"txid": self.teller.set_parameters(orders.parameters_of(order))}

    def energy_price(self, order: Order) -> Order:
        """Change the price of energy with the next block."""
        price = orders.whole_of(order.get("sun"), "sun", low=0, high=_PRICE_MAX_SUN)
        return self.parameters({_ENERGY_FEE: price})

    def paths(self) -> Sequence[ControlPath]:
        """What can be asked and told here."""

        def asked(name: str, carry_out: Callable[..., Any], reply: str) -> ControlPath:
            return ControlPath(
                method="GET", path=f"/devnet/{name}", carry_out=carry_out, reply=reply
            )

        def told(
            name: str, carry_out: Callable[..., Any], body: str, example: Order, reply: str = _TXID
        ) -> ControlPath:
            return ControlPath(
                method="POST",
                path=f"/devnet/{name}",
                carry_out=carry_out,
                body=body,
                reply=reply,
                example=example,
            )

        pair = {"from": "customer-1", "to": "customer-2", "amount": "12.5", "currency": "USDT"}
        return (
            asked(
                "network",
                self.network,
                "`genesis_block_id`, `chain_id`, `usdt_contract`, `faucet`",
            ),
            asked(
                "accounts", self.accounts, '`{"accounts": [{"name", "address", "private_key"}]}`'
            ),
            asked("contracts", self.listed_contracts, '`{"contracts": [{"name", "address"}]}`'),
            told(
                "faucet",
                self.faucet,
                '`{"address", "trx"?: "100", "usdt"?: "50"}`',
                {"address": "customer-1", "trx": "100", "usdt": "50"},
                '`{"txids": […]}`',
            ),
            told(
                "transfer",
                self.transfer,
                '`{"from", "to", "amount": "12.5", "currency": "USDT"}`',
                pair,
            ),
            told(
                "usdt/blacklist",
                self.black_list,
                '`{"address", "listed": true}`',
                {"address": "customer-3", "listed": True},
            ),
            told(
                "usdt/destroy",
                self.destroy,
                '`{"address"}`: all USDT of a black-listed address, without a Transfer log',
                {"address": "customer-3"},
            ),
            told("usdt/pause", self.pause, '`{"paused": true}`', {"paused": False}),
            told(
                "usdt/fee",
                self.fee,
                '`{"rate": 10, "maximum_usdt"?: 49}`: ten-thousandths, at most 19',
                {"rate": 10, "maximum_usdt": 40},
            ),
            told(
                "usdt/issue",
                self.issue,
                '`{"address", "amount": "5"}`',
                {"address": "customer-2", "amount": "5"},
            ),
            told("usdt/redeem", self.redeem, '`{"amount": "5"}`', {"amount": "5"}),
            told(
                "usdt/deprecate",
                self.deprecate,
                '`{"successor"?}`: a contract by name or address; there is no way back',
                {},
            ),
            told(
                "tokens/mint",
                self.mint,
                '`{"address", "units": 100, "token"?: "FakeTether"}`',
                {"address": "customer-2", "units": 100, "token": "FakeTether"},
            ),
            told(
                "contracts/energy-factor",
                self.energy_factor,
                '`{"factor": 34000, "contract"?}`: ten-thousandths above 1, until maintenance',
                {"factor": 34_000},
            ),
            told(
                "contracts/energy-use",
                self.energy_use,
                '`{"points": 30000000000, "contract"?}`: what others use in each cycle',
                {"points": 0},
            ),
            told(
                "contracts/fail-next",
                self.fail_next,
                '`{"result"?: "OUT_OF_TIME", "times"?: 1, "contract"?}`',
                {"result": "OUT_OF_TIME", "times": 1, "contract": "SilentToken"},
            ),
            told("router/allow", self.allow_router, '`{"from"}`', {"from": "customer-1"}),
            told(
                "router/pay",
                self.route,
                '`{"from", "payments": [{"to", "amount"}]}`: in one transaction, after `allow`',
                {"from": "customer-1", "payments": [{"to": "customer-2", "amount": "1"}]},
            ),
            told(
                "payer/pay",
                self.pay_internally,
                '`{"to", "amount", "in_vain"?: false}`: TRX by an internal transfer',
                {"to": "customer-2", "amount": "1"},
            ),
            told("parameters", self.parameters, '`{"getEnergyFee": 210}`', {"getEnergyFee": 210}),
            told("energy-price", self.energy_price, '`{"sun": 210}`', {"sun": 210}),
        )


def _contract_of(value: Any, name: str, default: bytes) -> bytes:
    """A contract by name or address."""
    if value is None:
        return default
    named = named_contracts().get(value) if isinstance(value, str) else None
    return orders.address_of(value, name) if named is None else named


def _payment_of(value: Any) -> tuple[bytes, int]:
    if not isinstance(value, dict):
        raise BadOrderError('a payment is {"to", "amount"}')
    return orders.address_of(value.get("to"), "to"), orders.amount_of(value.get("amount"), "amount")
