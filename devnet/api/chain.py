"""The chain's parameters and prices, and the node itself."""

from __future__ import annotations

from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain import Tip
from devnet.parameters import PARAMETERS
from devnet.state import BURNED_SUN, ENERGY_PRICES, NET_PRICES

CODE_VERSION = "4.8.0"


def get_chain_parameters(view: View, _request: Request) -> Any:
    """All parameters; a value of 0 is left out."""
    entries: list[dict[str, Any]] = []
    for name in PARAMETERS:
        value = view.state.parameter(name)
        entries.append({"key": name, "value": value} if value else {"key": name})
    return {"chainParameter": entries}


def get_energy_prices(view: View, _request: Request) -> Any:
    """The history of the energy price in sun."""
    return {"prices": view.state.text(ENERGY_PRICES)}


def get_bandwidth_prices(view: View, _request: Request) -> Any:
    """The history of the bandwidth price in sun."""
    return {"prices": view.state.text(NET_PRICES)}


def get_burn_trx(view: View, _request: Request) -> Any:
    """All fees so far, in sun."""
    return {"burnTrxAmount": view.state.integer(BURNED_SUN)}


def get_node_info(view: View, _request: Request) -> Any:
    """The node's own heights and settings; it has no peers."""
    return {
        "beginSyncNum": view.chain.head.number,
        "block": _named(view.chain.head),
        "solidityBlock": _named(view.chain.solid),
        "currentConnectCount": 0,
        "activeConnectCount": 0,
        "passiveConnectCount": 0,
        "totalFlow": 0,
        "peerList": [],
        "configNodeInfo": {
            "codeVersion": CODE_VERSION,
            "p2pVersion": "0",
            "supportConstant": True,
        },
        "machineInfo": {},
        "cheatWitnessInfoMap": {},
    }


def _named(tip: Tip) -> str:
    return f"Num:{tip.number},ID:{tip.block_id.hex()}"
