"""tron-client's routes: the chain, accounts, contracts, watches, feeds, transactions."""

from services.tron_client.routes import (
    accounts,
    blocks,
    broadcasting,
    chain,
    contracts,
    explorer,
    feeds,
    history,
    transactions,
    watches,
)

ROUTERS = (
    chain.router,
    blocks.router,
    explorer.router,
    accounts.router,
    history.router,
    contracts.router,
    watches.router,
    feeds.router,
    transactions.router,
    broadcasting.router,
)
"""In this order, for a txid could be mistaken for the word feed."""
