"""What becomes of the chain itself, and how far single nodes see it."""

from __future__ import annotations

from devnet.blocks import txid_of
from devnet.branch import Branch
from devnet.chain import Tip
from devnet.chain_pb2 import Transaction, TransferContract
from devnet.control.orders import BadOrderError
from devnet.forks import Fate
from devnet.items import wrapped
from devnet.lagging import MAX_LAG_BLOCKS
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Values
from devnet.scenarios.scenario import Occasion, Scenario

_DAY_S = 86_400
_MS_PER_S = 1_000
_SLOTS_MAX = 28_800
_DEPTH_MAX = 1_000
_LIFE_MS = 60_000
_SIGHT = "sight"
_NODE = parameters.node("node", "which node", default=0)


def _reorganise(stage: Stage, values: Values) -> Effect:
    def at_block(_tip: Tip) -> str:
        origin = stage.origin
        depth = values["depth"]
        if values["at_most"]:
            depth = min(depth, origin.main.head.number - origin.main.solid_number)
        returned = origin.reorganise(depth, fate=Fate(values["fate"]), seed=values["seed"])
        stage.time_changed()
        return f"{depth} blocks replaced, {len(returned)} transactions: {values['fate']}"

    return Effect(at_block=at_block)


def _missed_slots(stage: Stage, values: Values) -> Effect:
    def at_block(_tip: Tip) -> str:
        stage.origin.miss_slots(values["slots"])
        stage.time_changed()
        return f"{values['slots']} slots"

    return Effect(at_block=at_block)


def _stall_solid(stage: Stage, _values: Values) -> Effect:
    def begin() -> str:
        stage.origin.stall_solid()
        stage.time_changed()
        return f"solid at {stage.origin.main.solid_number}"

    def end() -> None:
        stage.origin.set_absent(())
        stage.time_changed()

    return Effect(begin=begin, end=end)


def _stall_head(stage: Stage, _values: Values) -> Effect:
    def begin() -> str:
        stage.origin.stall_head()
        stage.time_changed()
        return f"head at {stage.origin.main.head.number}"

    def end() -> None:
        absent = stage.origin.absent
        stage.origin.resume()
        stage.origin.set_absent(absent)
        stage.time_changed()

    return Effect(begin=begin, end=end)


def _skew(stage: Stage, values: Values) -> Effect:
    def begin() -> str:
        stage.told.set_skew(values["seconds"] * _MS_PER_S)
        stage.time_changed()
        return f"{values['seconds']} s"

    def end() -> None:
        stage.told.set_skew(0)
        stage.time_changed()

    return Effect(begin=begin, end=end)


def _node_lags(stage: Stage, values: Values) -> Effect:
    node = stage.nodes[values["node"]]

    def begin() -> str:
        node.lag(values["blocks_behind"])
        return f"{values['blocks_behind']} blocks behind"

    return Effect(begin=begin, end=lambda: node.lag(0))


def _node_stuck(stage: Stage, values: Values) -> Effect:
    node = stage.nodes[values["node"]]

    def begin() -> str:
        height = node.chain.head.number
        lowest = stage.origin.main.solid_number
        node.follow(stage.origin.main.fork(max(height, lowest)))
        return f"at {node.chain.head.number}"

    return Effect(begin=begin, end=lambda: node.follow(stage.origin.main))


class _Invention:
    """A branch that holds a payment which the chain does not, and grows beside it."""

    def __init__(self, stage: Stage, values: Values) -> None:
        self._stage = stage
        self._values = values
        self._node = stage.nodes[values["node"]]
        self._branch: Branch | None = None

    def begin(self) -> str:
        """Make the branch as long as the chain and show it."""
        branch = self._stage.origin.fork(self._values["depth"])
        payment = self._payment(branch)
        self._stage.origin.extend(branch, [payment])
        if branch.height_of(txid_of(payment)) is None:
            raise BadOrderError("the payer could not pay that much")
        self._branch = branch
        self.grow(self._stage.origin.main.head)
        self._node.follow(branch)
        return f"pays in block {branch.fork.number + 1}, txid {txid_of(payment).hex()}"

    def grow(self, tip: Tip) -> None:
        """Keep up with the chain, without ever overtaking it."""
        branch = self._branch
        while branch is not None and branch.head.number < tip.number:
            self._stage.origin.extend(branch)

    def end(self) -> None:
        """Show the chain again."""
        self._branch = None
        self._node.follow(self._stage.origin.main)

    def _payment(self, branch: Branch) -> Transaction:
        payer = self._values["payer"]
        transfer = TransferContract(
            owner_address=payer.address,
            to_address=self._values["recipient"],
            amount=self._values["amount"],
        )
        reference = branch.solid.block_id
        payment = Transaction(
            raw_data=Transaction.raw(
                ref_block_bytes=reference[6:8],
                ref_block_hash=reference[8:16],
                expiration=branch.head.time_ms + _LIFE_MS,
                timestamp=branch.head.time_ms,
                contract=[wrapped(transfer)],
            )
        )
        payment.signature.append(payer.sign(txid_of(payment)))
        return payment


def _invented_chain(stage: Stage, values: Values) -> Effect:
    invention = _Invention(stage, values)
    return Effect(begin=invention.begin, at_block=invention.grow, end=invention.end)


def _internal_calls(stage: Stage, values: Values) -> Effect:
    node = stage.nodes[values["node"]]

    def begin() -> str:
        node.saves_internal = True
        return ""

    def end() -> None:
        node.saves_internal = False

    return Effect(begin=begin, end=end)


SCENARIOS = (
    Scenario(
        name="reorganise",
        does="A branch that is one block longer replaces the last blocks; their transactions "
        "wait again, are in other blocks, in another order, fail, or are lost.",
        hazards=(1, 8, 16),
        occasion=Occasion.BLOCK,
        parameters=(
            parameters.whole("depth", "how many blocks", low=1, high=_DEPTH_MAX),
            parameters.choice(
                "fate", "what becomes of their transactions", [*Fate], default="wait"
            ),
            parameters.whole("seed", "decides another order", low=0, high=2**31, default=0),
            parameters.flag(
                "at_most", "take as many blocks as are not solid, if there are fewer", default=False
            ),
        ),
        make=_reorganise,
        example={"depth": 2, "fate": "reinclude"},
        draw=lambda chance, bounds: {
            "depth": chance.randint(1, bounds.depth_max),
            "fate": chance.choice([*Fate]),
            "seed": chance.randrange(1_000),
            "at_most": True,
        },
    ),
    Scenario(
        name="missed_slots",
        does="The next slots pass without blocks.",
        hazards=(1, 2, 19),
        occasion=Occasion.BLOCK,
        parameters=(
            parameters.whole("slots", "how many slots of 3 s", low=1, high=_SLOTS_MAX, default=5),
        ),
        make=_missed_slots,
        example={"slots": 10},
        draw=lambda chance, bounds: {"slots": chance.randint(1, bounds.depth_max)},
    ),
    Scenario(
        name="stall_solid",
        does="Nine witnesses stay away: no block that is made meanwhile becomes solid.",
        hazards=(8, 19, 22),
        occasion=Occasion.LASTING,
        make=_stall_solid,
        example={"blocks": 30},
        draw=lambda chance, bounds: {"blocks": chance.randint(1, 10 * bounds.depth_max)},
        group="witnesses",
    ),
    Scenario(
        name="stall_head",
        does="No blocks are made until it is disarmed.",
        hazards=(1, 19, 22),
        occasion=Occasion.LASTING,
        make=_stall_head,
        example={},
    ),
    Scenario(
        name="skew",
        does="The chain's clock is ahead of the one that clients follow, or behind it.",
        hazards=(2,),
        occasion=Occasion.LASTING,
        parameters=(
            parameters.whole(
                "seconds", "ahead; behind if below 0", low=-366 * _DAY_S, high=366 * _DAY_S
            ),
        ),
        make=_skew,
        example={"seconds": 90, "blocks": 100},
    ),
    Scenario(
        name="node_lags",
        does="A node shows the chain as it was some blocks ago, going on.",
        hazards=(1, 15),
        occasion=Occasion.LASTING,
        parameters=(
            _NODE,
            parameters.whole("blocks_behind", "how far", low=1, high=MAX_LAG_BLOCKS, default=5),
        ),
        make=_node_lags,
        example={"node": 0, "blocks_behind": 20, "blocks": 10},
        draw=lambda chance, bounds: {
            "blocks_behind": chance.randint(1, bounds.depth_max),
            "blocks": chance.randint(1, 10),
        },
        group=_SIGHT,
    ),
    Scenario(
        name="node_stuck",
        does="A node shows the head at which it was armed, whatever happens.",
        hazards=(1, 19),
        occasion=Occasion.LASTING,
        parameters=(_NODE,),
        make=_node_stuck,
        example={"node": 0, "blocks": 10},
        draw=lambda chance, _bounds: {"blocks": chance.randint(1, 10)},
        group=_SIGHT,
    ),
    Scenario(
        name="invented_chain",
        does="A node follows a branch of its own, signed by the true witnesses, with a payment "
        "that the chain does not hold; there it even becomes solid.",
        hazards=(1, 8, 9),
        occasion=Occasion.LASTING,
        parameters=(
            _NODE,
            parameters.whole("depth", "how far back it begins", low=1, high=_DEPTH_MAX, default=1),
            parameters.address("recipient", "who is paid there"),
            parameters.amount("amount", "how much TRX", default="100"),
            parameters.account("payer", "who pays there", default="customer-1"),
        ),
        make=_invented_chain,
        example={"node": 0, "recipient": "customer-2", "amount": "1000", "blocks": 40},
        group=_SIGHT,
    ),
    Scenario(
        name="internal_calls_shown",
        does="A node shows the calls within contract calls, as one with vm.saveInternalTx does, "
        "while others do not.",
        hazards=(21,),
        occasion=Occasion.LASTING,
        parameters=(_NODE,),
        make=_internal_calls,
        example={"node": 0},
    ),
)
