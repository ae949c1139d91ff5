"""What the owners of contracts, the price of energy and strangers' payments do to a payer."""

from __future__ import annotations

from devnet.chain import Tip
from devnet.chain_pb2 import Transaction
from devnet.contracts.dynamic_energy import figures
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import CUSTOMERS
from devnet.parameters import PARAMETERS
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Values
from devnet.scenarios.scenario import Occasion, Scenario

_ENERGY_FEE = "getEnergyFee"
_FACTOR_MAX = 100_000
_RESULTS = ("OUT_OF_ENERGY", "OUT_OF_TIME", "ILLEGAL_OPERATION", "UNKNOWN")


def _usdt_paused(stage: Stage, _values: Values) -> Effect:
    return Effect(
        begin=lambda: stage.contracts.set_paused(paused=True),
        end=lambda: _do(stage.contracts.set_paused(paused=False)),
    )


def _usdt_black_list(stage: Stage, values: Values) -> Effect:
    listed = values["address"]
    return Effect(
        begin=lambda: stage.contracts.set_black_listed(listed, listed=True),
        end=lambda: _do(stage.contracts.set_black_listed(listed, listed=False)),
    )


def _usdt_fee(stage: Stage, values: Values) -> Effect:
    return Effect(
        begin=lambda: stage.contracts.set_fee(values["rate"], values["maximum_usdt"]),
        end=lambda: _do(stage.contracts.set_fee(0, 0)),
    )


def _usdt_deprecated(stage: Stage, _values: Values) -> Effect:
    return Effect(at_block=lambda _tip: stage.contracts.deprecate())


def _black_funds(stage: Stage, values: Values) -> Effect:
    def at_block(_tip: Tip) -> str:
        stage.contracts.set_black_listed(values["address"], listed=True)
        return stage.contracts.destroy_black_funds(values["address"])

    return Effect(at_block=at_block)


def _energy_factor(stage: Stage, values: Values) -> Effect:
    def begin() -> str:
        return stage.contracts.set_energy_factor(values["factor"])

    before = figures(stage.origin.main.ledger.head, USDT_CONTRACT_ADDRESS).factor
    return Effect(begin=begin, end=lambda: _do(stage.contracts.set_energy_factor(before)))


def _energy_price(stage: Stage, values: Values) -> Effect:
    number = PARAMETERS[_ENERGY_FEE].proposal_id
    before = stage.origin.main.ledger.head.parameter(_ENERGY_FEE)
    return Effect(
        begin=lambda: stage.teller.set_parameters({number: values["price_sun"]}),
        end=lambda: _do(stage.teller.set_parameters({number: before})),
    )


def _calls_fail(stage: Stage, values: Values) -> Effect:
    result = Transaction.Result.contractResult.Value(values["result"])
    return Effect(at_block=lambda _tip: stage.contracts.fail_next(result, values["times"]))


def _dust(stage: Stage, values: Values) -> Effect:
    def at_block(_tip: Tip) -> str:
        for number in range(values["payments"]):
            payer = CUSTOMERS[number % len(CUSTOMERS)].key
            if values["currency"] == "TRX":
                stage.teller.send_trx(payer, values["recipient"], values["amount"])
            else:
                stage.teller.send_usdt(payer, values["recipient"], values["amount"])
        return f"{values['payments']} payments"

    return Effect(at_block=at_block)


def _many_sources(stage: Stage, values: Values) -> Effect:
    """Three ways to be paid: by a router, twice in one transaction, and internally."""

    def at_block(_tip: Tip) -> str:
        payer, recipient, amount = values["payer"], values["recipient"], values["amount"]
        stage.contracts.allow_router(payer)
        twice = stage.contracts.route_many(payer, [(recipient, amount), (recipient, amount)])
        internal = stage.contracts.pay_internally(recipient, amount)
        vain = stage.contracts.pay_internally_in_vain(recipient, amount)
        return f"twice in {twice}, internal {internal}, rejected {vain}"

    return Effect(at_block=at_block)


def _do(_txid: str) -> None:
    """An order of which only the effect counts."""


SCENARIOS = (
    Scenario(
        name="usdt_paused",
        does="USDT is paused; every transfer reverts.",
        hazards=(10,),
        occasion=Occasion.LASTING,
        make=_usdt_paused,
        example={"blocks": 20},
    ),
    Scenario(
        name="usdt_black_list",
        does="An address is on USDT's black list; what it sends reverts.",
        hazards=(10,),
        occasion=Occasion.LASTING,
        parameters=(parameters.address("address", "whose"),),
        make=_usdt_black_list,
        example={"address": "customer-3", "blocks": 20},
    ),
    Scenario(
        name="usdt_black_funds",
        does="A black-listed address loses its USDT without a Transfer log.",
        hazards=(10, 15),
        occasion=Occasion.BLOCK,
        parameters=(parameters.address("address", "whose"),),
        make=_black_funds,
        example={"address": "customer-4"},
    ),
    Scenario(
        name="usdt_fee",
        does="USDT takes a fee of each transfer, with a log of its own; less arrives than was sent.",
        hazards=(10,),
        occasion=Occasion.LASTING,
        parameters=(
            parameters.whole("rate", "ten-thousandths", low=1, high=19, default=10),
            parameters.whole("maximum_usdt", "at most so many USDT", low=1, high=49, default=40),
        ),
        make=_usdt_fee,
        example={"rate": 10, "blocks": 20},
    ),
    Scenario(
        name="usdt_deprecated",
        does="USDT hands its calls to another contract, whose logs they are; for good.",
        hazards=(10,),
        occasion=Occasion.BLOCK,
        make=_usdt_deprecated,
        example={},
    ),
    Scenario(
        name="usdt_calls_fail",
        does="The next calls of USDT break off for a reason of the machine's.",
        hazards=(10, 15),
        occasion=Occasion.BLOCK,
        parameters=(
            parameters.choice("result", "how", _RESULTS, default="OUT_OF_TIME"),
            parameters.whole("times", "how many calls", low=1, high=1_000, default=1),
        ),
        make=_calls_fail,
        example={"result": "OUT_OF_TIME", "times": 1},
    ),
    Scenario(
        name="usdt_energy_factor",
        does="USDT's calls use more or less energy than when they were estimated.",
        hazards=(15, 20),
        occasion=Occasion.LASTING,
        parameters=(
            parameters.whole(
                "factor", "ten-thousandths above 1", low=0, high=_FACTOR_MAX, default=50_000
            ),
        ),
        make=_energy_factor,
        example={"factor": 50_000, "blocks": 20},
    ),
    Scenario(
        name="energy_price",
        does="Energy has another price.",
        hazards=(15, 20),
        occasion=Occasion.LASTING,
        parameters=(
            parameters.whole("price_sun", "sun for one energy", low=1, high=100_000, default=420),
        ),
        make=_energy_price,
        example={"price_sun": 420, "blocks": 20},
    ),
    Scenario(
        name="dust",
        does="An address is paid many tiny amounts.",
        hazards=(20,),
        occasion=Occasion.BLOCK,
        parameters=(
            parameters.address("recipient", "who is paid"),
            parameters.whole("payments", "how many", low=1, high=500, default=20),
            parameters.amount("amount", "how much each", default="0.000001"),
            parameters.choice("currency", "of what", ("USDT", "TRX"), default="USDT"),
        ),
        make=_dust,
        example={"recipient": "customer-5", "payments": 20},
    ),
    Scenario(
        name="many_sources",
        does="An address is paid twice in one contract call, once internally, and once in vain.",
        hazards=(21,),
        occasion=Occasion.BLOCK,
        parameters=(
            parameters.address("recipient", "who is paid"),
            parameters.amount("amount", "how much each time", default="1"),
            parameters.account("payer", "who pays the USDT", default="customer-1"),
        ),
        make=_many_sources,
        example={"recipient": "customer-6", "amount": "1"},
    ),
)
