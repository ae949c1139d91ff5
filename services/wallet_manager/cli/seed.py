"""The seed: made once, shown once, or restored from the words that were written down."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Final

from services.wallet_manager.cli.door import own_storage
from services.wallet_manager.cli.terminal import Ask, read_new, read_secret
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Founding, new_seed, restored_seed, wipe
from services.wallet_manager.vault.keyfiles import KeyFiles
from shared.clock import SystemClock
from shared.errors import BadRequest, Conflict

WORDS: Final = (12, 24)
NEVER_SEEN: Final = "the words are shown on a terminal alone, and this is none"
THERE_IS_ONE: Final = "there is a seed already; no other takes its place"
WRITE_DOWN: Final = """
The seed of this installation ({network}) in {count} words. They are shown this once.
Write them down and keep them off this machine.{more}

  {words}
"""
WITH_ANOTHER: Final = " They are worth nothing without their passphrase."

Founder = Callable[[bytearray], Founding]
"""Seals a seed under a master key."""


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

    def made(master_key: bytearray) -> Founding:
        return _shown(settings, master_key, WORDS[-1], "", show)

    return await _founded(settings, made)


def tend_seed(
    settings: Settings,
    given: argparse.Namespace,
    *,
    show: Callable[[str], None],
    ask: Ask,
    is_seen: bool,
) -> int:
    """Make the seed, or restore it; returns the exit status. The master key is drawn if it is missing.

    Args:
        settings: where the database and the master key are.
        given: ``what``, ``words``, ``with_passphrase``, and descriptors.
        show: is given the words of a new seed, once.
        ask: reads from the terminal without showing it.
        is_seen: whether what is shown reaches a terminal and nothing else.

    Raises:
        Conflict: there is a seed already.
        PhraseRefused: the words are none.
        BadRequest: there is no terminal to show the words on.
        StorageLocked: wallet-manager is running.
        ConfigurationMissing: the master key is missing although there is a seed, or unreadable.
    """
    if given.what == "new" and not is_seen:
        raise BadRequest(NEVER_SEEN)
    words = "" if given.what == "new" else read_secret(given.words_fd, "Words: ", ask)
    passphrase = ""
    if given.with_passphrase:
        prompt = "Passphrase of the words: "
        passphrase = read_new(given.words_passphrase_fd, prompt, ask)

    def made(master_key: bytearray) -> Founding:
        if given.what == "restore":
            return _restored(settings, master_key, words, passphrase)
        return _shown(settings, master_key, given.words, passphrase, written_down)

    def written_down(words: str) -> None:
        network, more = settings.tron_network.value, WITH_ANOTHER if passphrase else ""
        show(WRITE_DOWN.format(network=network, count=given.words, more=more, words=words))

    if not asyncio.run(_founded(settings, made, draws_key=True)):
        raise Conflict(THERE_IS_ONE)
    show("the seed is stored")
    return 0


def _shown(
    settings: Settings,
    master_key: bytearray,
    count: int,
    passphrase: str,
    show: Callable[[str], None],
) -> Founding:
    founding, words = new_seed(
        master_key,
        network=settings.tron_network.value,
        at_ms=SystemClock().now_ms(),
        words=count,
        passphrase=passphrase,
    )
    show(words)
    return founding


def _restored(settings: Settings, master_key: bytearray, words: str, passphrase: str) -> Founding:
    return restored_seed(
        master_key,
        words,
        network=settings.tron_network.value,
        at_ms=SystemClock().now_ms(),
        passphrase=passphrase,
    )


async def _founded(settings: Settings, make: Founder, *, draws_key: bool = False) -> bool:
    files = KeyFiles(settings.master_key_path())
    if not draws_key:
        wipe(await asyncio.to_thread(files.current))  # before a database is made for nothing
    async with own_storage(settings) as storage:
        store = WalletStore(storage)
        if await store.key_ring() or await store.first_seed():
            return False
        if draws_key:
            await asyncio.to_thread(files.found)
        master_key = await asyncio.to_thread(files.current)
        try:
            await store.found(make(master_key))
        finally:
            wipe(master_key)
        return True
