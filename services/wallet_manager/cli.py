"""wallet-manager's commands, run on its machine by its operator."""

import asyncio
from collections.abc import Callable
from typing import Final

from services.wallet_manager.settings import Settings
from services.wallet_manager.store import SCHEMA, WalletStore
from services.wallet_manager.vault import new_seed, parse_master_key
from shared.clock import SystemClock
from shared.config import read_secret
from shared.storage import Stamp
from shared.storage.opening import open_storage
from shared.tron.networks import FACTS

NAME: Final = "wallet-manager"


async def make_seed(settings: Settings, *, show: Callable[[str], None]) -> bool:
    """Make the seed if there is none; True if it was made.

    Its words are shown before it is stored: a crash in between leaves no seed that nobody has seen.
    Takes the database's lock, so wallet-manager must be stopped.

    Args:
        settings: where the database and the master key are.
        show: is given the 24 words, once.

    Raises:
        StorageLocked: wallet-manager is running.
        ConfigurationMissing: the master key is missing.
    """
    path = settings.master_key_path()
    secret = await asyncio.to_thread(read_secret, path, purpose="the master key")
    contract = settings.usdt_contract_address or FACTS[settings.tron_network].usdt_contract
    stamp = Stamp(network=settings.tron_network.value, contract=contract)
    storage = await open_storage(settings, NAME, SCHEMA, stamp)
    try:
        store = WalletStore(storage)
        if await store.seed() is not None:
            return False
        sealed, words = new_seed(
            parse_master_key(secret),
            network=settings.tron_network.value,
            at_ms=SystemClock().now_ms(),
        )
        show(words)
        await store.save_seed(sealed)
        return True
    finally:
        await storage.close()
