"""Receipts that are missing, out of order, another block's, or of what never happened."""

from __future__ import annotations

import copy
from typing import Any

from devnet.contracts.usdt import USDT_CONTRACT
from devnet.scenarios import forging, parameters
from devnet.scenarios.effect import Effect, Stage, Values, twisting
from devnet.scenarios.forging import INVENTION
from devnet.scenarios.scenario import Scenario
from devnet.scenarios.subject import RECEIPTS, Subject


def _receipts_missing(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        if not isinstance(document, list) or not document:
            return None
        missing = min(values["missing"], len(document))
        first = values["first"] % len(document)
        gone = {(first + step) % len(document) for step in range(missing)}
        return [each for place, each in enumerate(document) if place not in gone]

    return twisting(twist)


def _receipts_reordered(_stage: Stage, _values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        if not isinstance(document, list) or len(document) < 2:  # noqa: PLR2004 (one has one order)
            return None
        return [*document[1:], document[0]]

    return twisting(twist)


def _receipts_of_another_block(stage: Stage, values: Values) -> Effect:
    def twist(subject: Subject, document: Any) -> Any:
        height = next(iter(subject.heights), 0)
        other = height - values["offset"]
        chain = stage.nodes[subject.place].chain
        if not isinstance(document, list) or other < 1 or height > chain.head.number:
            return None
        visible = subject.asked.visible
        receipts = [forging.shown(info, visible=visible) for info in chain.record(other).infos]
        if values["relabelled"]:
            time_ms = chain.tip(height).time_ms
            for each in receipts:
                each |= {"blockNumber": height, "blockTimeStamp": time_ms}
        return receipts if receipts != document else None

    return twisting(twist)


def _false_result(_stage: Stage, values: Values) -> Effect:
    """A failed call is reported as a success, or the other way round."""

    def flipped(info: Any) -> bool:
        receipt: dict[str, Any] = info.get("receipt") or {} if isinstance(info, dict) else {}
        result = receipt.get("result")
        if result is None or (values["of"] is not None and info.get("id") != values["of"].hex()):
            return False
        if result == "SUCCESS":
            receipt["result"] = "REVERT"
            info["result"] = "FAILED"
        else:
            receipt["result"] = "SUCCESS"
            info.pop("result", None)
        return True

    def twist(_subject: Subject, document: Any) -> Any:
        infos = document if isinstance(document, list) else [document]
        struck = [flipped(each) for each in infos]
        return document if any(struck) else None

    return twisting(twist)


def _invented_receipt(stage: Stage, values: Values) -> Effect:
    """A USDT transfer that never happened is logged."""
    log = forging.transfer_log(
        values["token"], values["payer"].address, values["recipient"], values["amount"]
    )

    def twist(subject: Subject, document: Any) -> Any:
        visible = subject.asked.visible
        if values["consistent"]:
            return _with_log(document, forging.shown(log, visible=visible))
        height = next(iter(subject.heights), 0)
        chain = stage.nodes[subject.place].chain
        if not isinstance(document, list) or not 0 < height <= chain.head.number:
            return None
        receipt = forging.invented_receipt(
            height, chain.tip(height).time_ms, values["token"], log, seed=values["seed"]
        )
        return [*document, forging.shown(receipt, visible=visible)]

    return twisting(twist)


def _with_log(document: Any, log: dict[str, Any]) -> Any:
    """The receipts with a log more in the first successful contract call; None without any."""
    receipts = document if isinstance(document, list) else [document]
    for each in receipts:
        if isinstance(each, dict) and (each.get("receipt") or {}).get("result") == "SUCCESS":
            each["log"] = [*(each.get("log") or []), copy.deepcopy(log)]
            return document
    return None


SCENARIOS = (
    Scenario(
        name="invented_receipt",
        does="Receipts hold a Transfer that never happened: in the log of a real call, or in a "
        "receipt that no block has a transaction for.",
        hazards=(8, 9, 10),
        names=RECEIPTS,
        parameters=(
            *INVENTION,
            parameters.address("token", "the token, USDT if left out", default=USDT_CONTRACT),
            parameters.flag(
                "consistent", "add it to a real call, so that body and receipts agree", default=True
            ),
        ),
        make=_invented_receipt,
        example={"recipient": "customer-2", "amount": "1000", "consistent": False},
    ),
    Scenario(
        name="false_result",
        does="A contract call that failed is reported as a success, one that succeeded as failed.",
        hazards=(8, 9, 10),
        names=RECEIPTS,
        parameters=(
            parameters.txid("of", "the transaction, all of a reply if left out", default=None),
        ),
        make=_false_result,
        example={"path": "/wallet/gettransactioninfobyid"},
    ),
    Scenario(
        name="receipts_missing",
        does="Some receipts of a block are left out.",
        hazards=(8,),
        names=frozenset({"gettransactioninfobyblocknum"}),
        parameters=(
            parameters.whole("missing", "how many", low=1, high=10_000, default=1),
            parameters.whole("first", "the place of the first", low=0, high=10_000, default=0),
        ),
        make=_receipts_missing,
        example={"missing": 2},
        draw=lambda chance, _bounds: {
            "missing": chance.randint(1, 3),
            "first": chance.randrange(300),
        },
    ),
    Scenario(
        name="receipts_reordered",
        does="The receipts of a block come in another order than its transactions.",
        hazards=(8,),
        names=frozenset({"gettransactioninfobyblocknum"}),
        make=_receipts_reordered,
        example={"count": 3},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="receipts_of_another_block",
        does="Receipts of an earlier block are given for the one asked for.",
        hazards=(8,),
        names=frozenset({"gettransactioninfobyblocknum"}),
        parameters=(
            parameters.whole("offset", "how many blocks earlier", low=1, high=1_000, default=1),
            parameters.flag(
                "relabelled", "with the number and time of the block asked for", default=False
            ),
        ),
        make=_receipts_of_another_block,
        example={"offset": 2, "relabelled": True},
        draw=lambda chance, _bounds: {
            "offset": chance.randint(1, 3),
            "relabelled": chance.random() < 0.5,  # noqa: PLR2004
        },
    ),
)
