"""What other chains have and this one has none of: assets of the chain's own, markets, names.

Proposals take effect at once here and are not kept, so that there is none to list.
"""

from __future__ import annotations

from typing import Any

from devnet.api.builders import Handler
from devnet.api.request import Request
from devnet.api.view import View


def nothing(_view: View, _request: Request) -> Any:
    """An object that does not exist, or an empty list, which is left out."""
    return {}


ABSENT_IN_BOTH_TREES: dict[str, Handler] = dict.fromkeys(
    (
        "getaccountbyid",
        "getassetissuebyid",
        "getassetissuebyname",
        "getassetissuelist",
        "getassetissuelistbyname",
        "getexchangebyid",
        "getpaginatedassetissuelist",
        "listexchanges",
    ),
    nothing,
)
ABSENT_IN_FULL_TREE: dict[str, Handler] = dict.fromkeys(
    (
        "getassetissuebyaccount",
        "getpaginatedexchangelist",
        "getpaginatedproposallist",
        "getproposalbyid",
        "listproposals",
    ),
    nothing,
)
