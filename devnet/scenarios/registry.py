"""All scenarios by their names, and what is not a node's or a chain's to cause."""

from __future__ import annotations

from devnet.scenarios import (
    blocks,
    broadcasts,
    chains,
    connections,
    readings,
    receipts,
    tokens,
)
from devnet.scenarios.chaos import chaos
from devnet.scenarios.scenario import Scenario

_ALL = (
    *connections.SCENARIOS,
    *broadcasts.SCENARIOS,
    *blocks.SCENARIOS,
    *receipts.SCENARIOS,
    *readings.SCENARIOS,
    *chains.SCENARIOS,
    *tokens.SCENARIOS,
)

SCENARIOS: dict[str, Scenario] = {each.name: each for each in (*_ALL, chaos(_ALL))}

# The hazards of a payment stack by their numbers.
HAZARDS = {
    1: "declared expired, yet on chain",
    2: "chain time is what one node says",
    3: "weak identity of a request",
    4: "a conflict or a non-final answer read as failure",
    5: "restore from a backup",
    6: "equal intents have one txid",
    7: "bytes handed out are completed elsewhere",
    8: "promotion by height; receipts of another body",
    9: "one node invents a consistent chain",
    10: "success is not payment",
    11: "an address shown before it is watched",
    12: "own money credited as a deposit",
    13: "feeds lose events",
    14: "write skew between replicas",
    15: "holds that do not cover the worst case",
    16: "no nonce means no order",
    17: "network mix-up",
    18: "shared secrets and confused deputies",
    19: "the invoice clock races the feed",
    20: "fee drain",
    21: "three sources, one index",
    22: "node budget deadlock",
    23: "a kill switch that does not stop what is signed",
    24: "networks that contradict their users",
    25: "local operation loses keys",
}

# Why no node and no chain can bring these about.
NOT_OURS = {
    3: "keys of requests are between callers and the stack",
    11: "which addresses are shown and watched is the stack's own order of steps",
    12: "what a transfer was for is known to the stack alone",
    13: "feeds are between the stack's services",
    14: "replicas share the stack's database, not the chain",
    18: "tokens are between callers and the stack",
    24: "container networks are the operator's",
    25: "files and keys are the operator's",
}
