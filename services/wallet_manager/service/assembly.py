"""The parts that make, follow and prove sends, put together as they must be."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.books import Books
from services.wallet_manager.service.claims import Claims, Pricer
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.imports import Given, Imports
from services.wallet_manager.service.indexes import Indexes
from services.wallet_manager.service.indexes import WatchList as IndexWatches
from services.wallet_manager.service.intake import Intake
from services.wallet_manager.service.leaves import Watcher
from services.wallet_manager.service.offline import Chain as OfflineChain
from services.wallet_manager.service.offline import Offline
from services.wallet_manager.service.oversight import Oversight
from services.wallet_manager.service.recount import Recount
from services.wallet_manager.service.recovery import Clocks, Recovery, SolidChain
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.sender import Sender
from services.wallet_manager.service.signing import Signing, Surroundings
from services.wallet_manager.service.submission import Carrier, Submission
from services.wallet_manager.service.wallets import Wallets
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Vault
from shared.alarms import Alarms
from shared.clock import Clock
from shared.ledger_clock import LedgerClock
from shared.tron.networks import Network


class Chain(
    Carrier,
    Given,
    IndexWatches,
    OfflineChain,
    Pricer,
    SolidChain,
    Surroundings,
    Watcher,
    Protocol,
):
    """All that the parts ask of tron-client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the parts are put into.

    Attributes:
        gates: asked once for each new intent.
        guards: asked in this order before anything is signed.
        held_back: says why a wallet's sends leave neither unsigned nor signed, or None.
        books_lock: held by whoever reads balances and writes on the strength of them.
    """

    store: WalletStore
    vault: Vault
    chain: Chain
    clock: Clock
    clocks: Clocks
    ledger: LedgerClock
    new_id: Callable[[str], str]
    network: Network
    rules: SigningRules
    audit: Audit
    alarms: Alarms
    gates: Sequence[Gate]
    guards: Sequence[Guard]
    held_back: Callable[[str], str | None]
    books_lock: asyncio.Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What makes a send, follows it and proves what became of it."""

    wallets: Wallets
    sender: Sender
    oversight: Oversight
    offline: Offline
    books: Books
    imports: Imports
    claims: Claims
    recovery: Recovery


def assemble(site: Site) -> Parts:
    """Put the parts together.

    No send ends while the service is in quarantine or a claim is open (hazard H5), and one that is
    signed elsewhere not before all that left unsigned is over. What was signed before is handed over
    again before the quarantine is lifted.
    """
    store, chain, clock, rules = site.store, site.chain, site.clock, site.rules
    books = Books(
        store=store,
        audit=site.audit,
        clock=clock,
        alarms=site.alarms,
        max_attempts=rules.max_attempts,
        books_lock=site.books_lock,
    )
    recount = Recount(store=store, ledger=site.ledger)
    claims = Claims(
        store=store,
        marks=site.vault,
        chain=chain,
        recount=recount,
        clock=clock,
        alarms=site.alarms,
        rules=rules,
        books_lock=site.books_lock,
    )
    imports = Imports(
        store=store,
        chain=chain,
        marks=site.vault,
        books=books,
        recount=recount,
        clock=clock,
        new_id=site.new_id,
        max_attempts=rules.max_attempts,
    )
    submission = Submission(
        store=store,
        chain=chain,
        clock=clock,
        rules=rules,
        books_lock=site.books_lock,
        held_back=site.held_back,
    )
    recovery = Recovery(
        store=store,
        chain=chain,
        imports=imports,
        claims=claims,
        books=books,
        indexes=Indexes(
            store=store,
            watcher=chain,
            accounts=site.vault,
            audit=site.audit,
            clock=clock,
            new_id=site.new_id,
            network=site.network,
        ),
        clocks=site.clocks,
        alarms=site.alarms,
    )
    recovery.before_clear(submission.hand_over_again)

    def is_explained() -> bool:
        return recovery.run.is_clear and not claims.open()

    def is_all_back() -> bool:
        left_ms = clock.now_ms() - recovery.forgot_ms()
        return is_explained() and left_ms > rules.offline_lifetime_ms

    books.end_sends_only_when(is_explained)
    return Parts(
        wallets=Wallets(
            store=store,
            vault=site.vault,
            watcher=chain,
            clock=clock,
            new_id=site.new_id,
            network=site.network,
            require_clear=recovery.require_clear,
            audit=site.audit,
        ),
        sender=Sender(
            intake=Intake(
                store=store, clock=clock, new_id=site.new_id, rules=rules, gates=site.gates
            ),
            signing=Signing(
                store=store,
                vault=site.vault,
                chain=chain,
                clock=clock,
                rules=rules,
                quarantine=recovery,
                guards=site.guards,
                books_lock=site.books_lock,
            ),
            submission=submission,
        ),
        oversight=Oversight(
            store=store,
            audit=site.audit,
            clock=clock,
            is_explained=is_explained,
            is_all_back=is_all_back,
            books_lock=site.books_lock,
        ),
        offline=Offline(
            store=store,
            chain=chain,
            audit=site.audit,
            clock=clock,
            held_back=site.held_back,
            is_all_back=is_all_back,
            books_lock=site.books_lock,
        ),
        books=books,
        imports=imports,
        claims=claims,
        recovery=recovery,
    )
