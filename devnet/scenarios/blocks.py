"""Blocks that are not what the chain holds, and false answers about transactions in them."""

from __future__ import annotations

from typing import Any

from devnet.chain_pb2 import TransferContract
from devnet.genesis import FOREIGN_GENESIS_BLOCK_IDS, GENESIS_BLOCK_ID
from devnet.items import contract_of, wrapped
from devnet.json_format import parsed_transaction
from devnet.scenarios import forging, parameters
from devnet.scenarios.effect import Effect, Stage, Values, twisting
from devnet.scenarios.forging import INVENTION
from devnet.scenarios.scenario import Scenario
from devnet.scenarios.subject import BLOCKS, BY_TXID, RECEIPTS, Subject

_GETTERS = BLOCKS | BY_TXID | RECEIPTS
_FOREIGN_GENESIS = {
    network.lower(): block_id for block_id, network in FOREIGN_GENESIS_BLOCK_IDS.items()
}
_DAY_S = 86_400
_MS_PER_S = 1_000
_SEAL = parameters.choice(
    "seal",
    "who signs the false header: the old signature is kept, a forger, the witness itself",
    forging.SEALS,
    default="kept",
)


def _empty_answer(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        if not document:
            return None
        if values["form"] == "same":
            return [] if isinstance(document, list) else {}
        return [] if values["form"] == "list" else {}

    return twisting(twist)


def _block_without_transactions(_stage: Stage, _values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        struck = [each for each in forging.blocks_in(document) if each.pop("transactions", None)]
        return document if struck else None

    return twisting(twist)


def _hidden_transaction(_stage: Stage, values: Values) -> Effect:
    hidden = values["hidden"].hex()

    def twist(subject: Subject, document: Any) -> Any:
        if subject.name in BY_TXID:
            return {} if subject.txid == values["hidden"] and document else None
        if isinstance(document, list):
            kept = [each for each in document if each.get("id") != hidden]
            return kept if len(kept) < len(document) else None
        struck = False
        for block in forging.blocks_in(document):
            before = block.get("transactions") or []
            kept = [each for each in before if each["txID"] != hidden]
            if len(kept) == len(before):
                continue
            struck = True
            block["transactions"] = kept
            if not kept:
                del block["transactions"]
            if values["rerooted"]:
                forging.reroot(block, seal="forger")
        return document if struck else None

    return twisting(twist)


def _false_transaction(_stage: Stage, values: Values) -> Effect:
    """The first transfer of TRX in a block goes to somebody else, under its old signature."""

    def twist(_subject: Subject, document: Any) -> Any:
        for block in forging.blocks_in(document):
            visible = forging.is_base58(block)
            for place, each in enumerate(block.get("transactions") or []):
                transaction = parsed_transaction({**each, "visible": visible})
                contract = contract_of(transaction.raw_data.contract[0])
                if not isinstance(contract, TransferContract):
                    continue
                contract.to_address = values["recipient"]
                if values["amount"] is not None:
                    contract.amount = values["amount"]
                transaction.raw_data.contract[0].CopyFrom(wrapped(contract))
                block["transactions"][place] = forging.shown(transaction, visible=visible)
                if values["rerooted"]:
                    forging.reroot(block, seal=values["seal"])
                return document
        return None

    return twisting(twist)


def _invented_transfer(_stage: Stage, values: Values) -> Effect:
    """A payment of TRX appears in a block that does not hold it."""

    def twist(_subject: Subject, document: Any) -> Any:
        found = [each for each in forging.blocks_in(document) if forging.number_of(each)]
        for block in found:
            payment = forging.invented_payment(
                block,
                payer=values["payer"],
                recipient=values["recipient"],
                amount_sun=values["amount"],
                seed=values["seed"],
            )
            shown = forging.shown(payment, visible=forging.is_base58(block))
            block["transactions"] = [*(block.get("transactions") or []), shown]
            if values["rerooted"]:
                forging.reroot(block, seal=values["seal"])
        return document if found else None

    return twisting(twist)


def _false_seal(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        found = [each for each in forging.blocks_in(document) if forging.number_of(each)]
        for block in found:
            if values["by"] == "forger":
                forging.reheaded(block, lambda _raw: None, seal="forger")
                continue
            header = block["block_header"]
            signature = bytes.fromhex(header.get("witness_signature", ""))
            header["witness_signature"] = (
                "" if values["by"] == "nobody" else bytes(b ^ 0xFF for b in signature).hex()
            )
        return document if found else None

    return twisting(twist)


def _false_parent(_stage: Stage, values: Values) -> Effect:
    def change(raw: Any) -> None:
        parent = bytearray(raw.parentHash)
        parent[-1] ^= 0xFF
        raw.parentHash = bytes(parent)

    def twist(_subject: Subject, document: Any) -> Any:
        found = [each for each in forging.blocks_in(document) if forging.number_of(each)]
        for block in found:
            forging.reheaded(block, change, seal=values["seal"])
        return document if found else None

    return twisting(twist)


def _false_time(_stage: Stage, values: Values) -> Effect:
    def change(raw: Any) -> None:
        shifted_ms = raw.timestamp + values["seconds"] * _MS_PER_S
        raw.timestamp = max(0, shifted_ms)

    def twist(_subject: Subject, document: Any) -> Any:
        found = [each for each in forging.blocks_in(document) if forging.number_of(each)]
        for block in found:
            before = block["blockID"]
            forging.reheaded(block, change, seal=values["seal"])
            if values["seal"] == "kept":
                block["blockID"] = before
        return document if found else None

    return twisting(twist)


def _foreign_genesis(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        struck = False
        for block in forging.blocks_in(document):
            if block["blockID"] == GENESIS_BLOCK_ID:
                block["blockID"] = _FOREIGN_GENESIS[values["network"]]
                struck = True
        return document if struck else None

    return twisting(twist)


_REROOTED = parameters.flag(
    "rerooted",
    "let the header carry the root of what is shown, and another block id",
    default=False,
)

SCENARIOS = (
    Scenario(
        name="empty_answer",
        does="`{}` or `[]` for something that is there.",
        hazards=(1, 4, 8),
        names=_GETTERS,
        parameters=(
            parameters.choice(
                "form",
                "what is sent; `same` is `[]` for a list",
                ("same", "object", "list"),
                default="same",
            ),
        ),
        make=_empty_answer,
        example={"path": "/wallet/gettransactioninfobyblocknum", "form": "list"},
        draw=lambda chance, _bounds: {"form": chance.choice(["same", "object"])},
    ),
    Scenario(
        name="block_without_transactions",
        does="A block that holds transactions is shown without any.",
        hazards=(1, 8, 9),
        names=BLOCKS,
        make=_block_without_transactions,
        example={"from_block": 100, "to_block": 200, "count": 0},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="hidden_transaction",
        does="A node leaves one transaction out of everything: blocks, receipts, and by its id.",
        hazards=(1, 5, 9),
        names=_GETTERS,
        parameters=(
            parameters.txid("hidden", "the transaction"),
            parameters.flag("rerooted", "let a forger sign a header without it", default=False),
        ),
        make=_hidden_transaction,
        example={"hidden": "00" * 32, "node": 0, "count": 0},
    ),
    Scenario(
        name="false_transaction",
        does="The first TRX transfer of a block is shown with another recipient and amount.",
        hazards=(9,),
        names=BLOCKS,
        parameters=(
            parameters.address("recipient", "who it goes to"),
            parameters.amount("amount", "how much, as it was if left out", default=None),
            _REROOTED,
            _SEAL,
        ),
        make=_false_transaction,
        example={"recipient": "customer-2", "rerooted": True, "seal": "forger"},
    ),
    Scenario(
        name="invented_transfer",
        does="A block is shown with a TRX transfer more, which never happened.",
        hazards=(9,),
        names=BLOCKS,
        parameters=(*INVENTION, _REROOTED, _SEAL),
        make=_invented_transfer,
        example={"recipient": "customer-2", "amount": "100"},
    ),
    Scenario(
        name="false_seal",
        does="A block's witness signature is a forger's, broken, or missing.",
        hazards=(9,),
        names=BLOCKS,
        parameters=(
            parameters.choice("by", "whose it is", ("forger", "noise", "nobody"), default="forger"),
        ),
        make=_false_seal,
        example={"by": "forger"},
    ),
    Scenario(
        name="false_parent",
        does="A block names another parent, and has another id.",
        hazards=(8, 9),
        names=BLOCKS,
        parameters=(_SEAL,),
        make=_false_parent,
        example={"seal": "witness"},
    ),
    Scenario(
        name="false_time",
        does="Blocks are shown with another time; signed anew, they have another id.",
        hazards=(2,),
        names=BLOCKS,
        parameters=(
            parameters.whole(
                "seconds",
                "how much later, earlier below 0",
                low=-366 * _DAY_S,
                high=366 * _DAY_S,
                default=72_000,
            ),
            _SEAL,
        ),
        make=_false_time,
        example={"seconds": 72_000, "path": "/wallet/getnowblock", "count": 0},
    ),
    Scenario(
        name="foreign_genesis",
        does="The first block is another network's.",
        hazards=(17,),
        names=BLOCKS,
        parameters=(parameters.choice("network", "whose", [*_FOREIGN_GENESIS], default="mainnet"),),
        make=_foreign_genesis,
        example={"network": "nile", "count": 0},
    ),
)
