"""The chain's parameters and prices, and the node itself."""

from __future__ import annotations

from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain import Tip
from devnet.genesis import CHAIN_ID, GENESIS_BLOCK_ID, GENESIS_TIME_MS
from devnet.parameters import PARAMETERS
from devnet.state import BURNED_SUN, ENERGY_PRICES, MEMO_PRICES, NET_PRICES

CODE_VERSION = "4.8.2"
_DB_VERSION = 2


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


def get_memo_fee(view: View, _request: Request) -> Any:
    """The history of the fee for a memo in sun."""
    return {"prices": view.state.text(MEMO_PRICES)}


def get_burn_trx(view: View, _request: Request) -> Any:
    """All fees so far, in sun."""
    return {"burnTrxAmount": view.state.integer(BURNED_SUN)}


def list_nodes(_view: View, _request: Request) -> Any:
    """The peers it could connect to: none."""
    return {}


def get_node_info(view: View, _request: Request) -> Any:
    """The node's heights and settings as java-tron shows them, and under `devnet` what it is.

    It has no peers, and of its machine it tells nothing but the shape.
    """
    return {
        "beginSyncNum": view.chain.head.number,
        "block": _named(view.chain.head),
        "solidityBlock": _named(view.chain.solid),
        "currentConnectCount": 0,
        "activeConnectCount": 0,
        "passiveConnectCount": 0,
        "totalFlow": 0,
        "peerList": [],
        "configNodeInfo": _config(view),
        "machineInfo": {
            "threadCount": 1,
            "deadLockThreadCount": 0,
            "cpuCount": 1,
            "memoryDescInfoList": [],
            "deadLockThreadInfoList": [],
        },
        "cheatWitnessInfoMap": {},
        "devnet": _identity(view),
    }


def _config(view: View) -> dict[str, Any]:
    return {
        "codeVersion": CODE_VERSION,
        "p2pVersion": "0",
        "listenPort": 0,
        "discoverEnable": False,
        "activeNodeSize": 0,
        "passiveNodeSize": 0,
        "sendNodeSize": 0,
        "maxConnectCount": 0,
        "sameIpMaxConnectCount": 0,
        "backupListenPort": 0,
        "backupMemberSize": 0,
        "backupPriority": 0,
        "dbVersion": _DB_VERSION,
        "minParticipationRate": 0,
        "supportConstant": True,
        "minTimeRatio": 0.0,
        "maxTimeRatio": 5.0,
        "allowCreationOfContracts": view.state.parameter("getAllowCreationOfContracts"),
        "allowAdaptiveEnergy": view.state.parameter("getAllowAdaptiveEnergy"),
    }


def _identity(view: View) -> dict[str, Any]:
    return {
        "chainId": CHAIN_ID,
        "genesisBlockId": GENESIS_BLOCK_ID,
        "genesisTimestamp": GENESIS_TIME_MS,
        "height": view.chain.head.number,
        "solidHeight": view.chain.solid_number,
        "now": view.node.clock.now_ms(),
        "parameters": {name: view.state.parameter(name) for name in PARAMETERS},
    }


def _named(tip: Tip) -> str:
    return f"Num:{tip.number},ID:{tip.block_id.hex()}"
