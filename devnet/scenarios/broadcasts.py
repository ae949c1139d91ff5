"""What a node says when it is handed a transaction, and what it does with it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from devnet.api.exchange import Reply
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.node import Refusal
from devnet.rejection import Code, RejectedError
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Undo, Values, decoded
from devnet.scenarios.scenario import Scenario
from devnet.scenarios.subject import BROADCASTS, Subject

_SHOWINGS = frozenset({"getsignweight", "getapprovedlist"})
_BLOCKS_MAX = 28_800
CODES = tuple(code.value for code in Code if code is not Code.SUCCESS)
# What java-tron says with each code (Wallet.broadcastTransaction).
_MESSAGES = {
    Code.SIGERROR: "Validate signature error: miss sig or contract",
    Code.CONTRACT_VALIDATE_ERROR: "Contract validate error : Validate error",
    Code.CONTRACT_EXE_ERROR: "Contract execute error : Execute error",
    Code.BANDWITH_ERROR: "Account resource insufficient error.",
    Code.DUP_TRANSACTION_ERROR: "Dup transaction.",
    Code.TAPOS_ERROR: "Tapos check error.",
    Code.TOO_BIG_TRANSACTION_ERROR: "Transaction size is too big.",
    Code.TRANSACTION_EXPIRATION_ERROR: "Transaction expired",
    Code.SERVER_BUSY: "Server busy.",
    Code.NO_CONNECTION: "No connection.",
    Code.NOT_ENOUGH_EFFECTIVE_CONNECTION: "The number of effective connection is not enough.",
    Code.BLOCK_UNSOLIDIFIED: "Block unsolidified.",
    Code.OTHER_ERROR: "Error: ",
}


def _refusing(stage: Stage, code: Code, message: str, *, kept: bool) -> Effect:
    error = RejectedError(code, message or _MESSAGES[code])

    def refuse(subject: Subject) -> Undo | None:
        if subject.transaction is None:
            return None
        node = stage.nodes[subject.place]
        refusal = Refusal(error=error, keeps=kept)
        node.refuse(refusal)
        return lambda: node.withdraw(refusal)

    return Effect(around=refuse)


def _broadcast_code(stage: Stage, values: Values) -> Effect:
    return _refusing(stage, Code(values["code"]), values["message"], kept=values["kept"])


def _server_busy(stage: Stage, values: Values) -> Effect:
    return _refusing(stage, Code.SERVER_BUSY, "", kept=values["kept"])


def _false_duplicate(stage: Stage, values: Values) -> Effect:
    return _refusing(stage, Code.DUP_TRANSACTION_ERROR, "", kept=values["kept"])


def _accepted(subject: Subject, reply: Reply) -> Transaction | None:
    """The transaction that was handed in, if the node took it."""
    document = decoded(reply)
    taken = isinstance(document, dict) and document.get("result") is True
    return subject.transaction if taken else None


def _forget(stage: Stage, transaction: Transaction) -> None:
    for node in stage.nodes:
        node.drop_transaction(txid_of(transaction))


def _transaction_dropped(stage: Stage, _values: Values) -> Effect:
    def change(subject: Subject, reply: Reply) -> Reply | None:
        transaction = _accepted(subject, reply)
        if transaction is None:
            return None
        _forget(stage, transaction)
        return reply

    return Effect(change=change)


def _transaction_delayed(stage: Stage, values: Values) -> Effect:
    def change(subject: Subject, reply: Reply) -> Reply | None:
        transaction = _accepted(subject, reply)
        if transaction is None:
            return None
        _forget(stage, transaction)
        stage.later(values["for_blocks"], lambda: _hand_in(stage, transaction))
        return reply

    return Effect(change=change)


def _transaction_leaked(stage: Stage, _values: Values) -> Effect:
    def change(subject: Subject, reply: Reply) -> Reply | None:
        shown: Any = subject.transaction
        if shown is None or not shown.signature:
            return None
        try:
            stage.origin.broadcast(shown)
        except RejectedError:
            return None
        return reply

    return Effect(change=change)


def _hand_in(stage: Stage, transaction: Transaction) -> None:
    with suppress(RejectedError):
        stage.origin.broadcast(transaction)


_KEPT = parameters.flag(
    "kept", "whether the node takes the transaction all the same", default=False
)

SCENARIOS = (
    Scenario(
        name="broadcast_code",
        does="A broadcast is answered with any of the node's codes, whatever it is like.",
        hazards=(4,),
        names=BROADCASTS,
        parameters=(
            parameters.choice("code", "the code", CODES),
            parameters.text(
                "message", "the node's own for the code if empty", most=1_000, default=""
            ),
            _KEPT,
        ),
        make=_broadcast_code,
        example={"code": "TAPOS_ERROR", "count": 2},
        draw=lambda chance, _bounds: {
            "code": chance.choice(CODES),
            "kept": chance.random() < 0.5,  # noqa: PLR2004
        },
    ),
    Scenario(
        name="server_busy",
        does="A broadcast is answered with SERVER_BUSY.",
        hazards=(4, 22),
        names=BROADCASTS,
        parameters=(_KEPT,),
        make=_server_busy,
        example={"count": 3},
        draw=lambda chance, _bounds: {"kept": chance.random() < 0.5},  # noqa: PLR2004
    ),
    Scenario(
        name="false_duplicate",
        does="A first broadcast is answered with DUP_TRANSACTION_ERROR.",
        hazards=(4, 6),
        names=BROADCASTS,
        parameters=(_KEPT,),
        make=_false_duplicate,
        example={"kept": True},
        draw=lambda chance, _bounds: {"kept": chance.random() < 0.5},  # noqa: PLR2004
    ),
    Scenario(
        name="transaction_dropped",
        does="A broadcast is accepted, and no node remembers the transaction.",
        hazards=(1, 4),
        names=BROADCASTS,
        make=_transaction_dropped,
        example={"count": 1},
        draw=lambda _chance, _bounds: {},
    ),
    Scenario(
        name="transaction_delayed",
        does="A broadcast is accepted and forgotten, and the transaction comes back some blocks "
        "later, if it still lives.",
        hazards=(1, 7, 16, 23),
        names=BROADCASTS,
        parameters=(
            parameters.whole(
                "for_blocks", "how many blocks later", low=1, high=_BLOCKS_MAX, default=10
            ),
        ),
        make=_transaction_delayed,
        example={"for_blocks": 15},
        draw=lambda chance, bounds: {"for_blocks": chance.randint(1, bounds.depth_max)},
    ),
    Scenario(
        name="transaction_leaked",
        does="A signed transaction that was only shown to getsignweight or getapprovedlist is "
        "broadcast.",
        hazards=(7,),
        names=_SHOWINGS,
        make=_transaction_leaked,
        example={"count": 1},
    ),
)
