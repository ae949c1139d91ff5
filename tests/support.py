"""What tests of several services share: keys and tokens, applications in process, and siblings played."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi import FastAPI

from shared.access import Role, Scope
from shared.auth import OPERATOR, ServiceIdentity, mint_operator_token
from shared.clock import MS_PER_S, Clock, HeldClock, rfc3339
from shared.config import SERVICES, ServiceSettings
from shared.feeds import FeedLost, FeedReset
from shared.models.wallet_manager import WalletRole, WalletStatus, WalletView
from shared.models.wallet_sends import (
    FINAL_SEND_STATES,
    Intent,
    RefusalView,
    SendLookupView,
    SendProblem,
    SendResult,
    SendState,
    SendView,
)
from shared.models.wire import FeedItem, FeedView
from shared.peers.caller import PeerRefused, PeerUnavailable
from shared.tron.address import Address, address_from_bytes
from shared.tron.networks import Network

START_MS = 1_795_000_000_000
"""Some moment in November 2026."""

S = TypeVar("S", bound=ServiceSettings)


def address(number: int) -> Address:
    """Make the address of a number."""
    return address_from_bytes(b"\x41" + number.to_bytes(20, "big"))


TREASURY = address(0xAA)


class Keys:
    """Makes the keys of the operator and the six, as files and as tokens."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._clock = clock
        self._private = {name: Ed25519PrivateKey.generate() for name in (OPERATOR, *SERVICES)}
        (root / "keys").mkdir(parents=True)
        for name, key in self._private.items():
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            (root / "keys" / f"{name}.pub.pem").write_bytes(public)
            folder = root / "secrets" / name
            folder.mkdir(parents=True)
            identity = folder / "identity.pem"
            identity.touch(mode=0o600)
            identity.write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )

    def person(self, role: Role = Role.ADMIN, subject: str = "ada") -> dict[str, str]:
        """Return the headers of a person's request."""
        token = mint_operator_token(
            self._private[OPERATOR],
            subject=subject,
            role=role,
            now_s=self._clock.now_ms() // MS_PER_S,
            lifetime_s=3_600,
            token_id=f"{subject}-token",
        )
        return {"Authorization": f"Bearer {token}"}

    def service(self, name: str, *, audience: str, scope: Scope) -> dict[str, str]:
        """Return the headers of a sibling's request."""
        identity = ServiceIdentity(service=name, private_key=self._private[name], clock=self._clock)
        return {"Authorization": f"Bearer {identity.token(audience=audience, scope=scope)}"}


def settings_in(root: Path, kind: type[S], **changes: Any) -> S:
    """Make settings whose files all lie in one folder."""
    return kind(tron_network=Network.DEVNET, data_dir=root, rate_limit_burst=10_000, **changes)


def answers(handler: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    """Play every sibling by one function."""
    return httpx.MockTransport(handler)


def nobody_there(_: httpx.Request) -> httpx.Response:
    """Answer as a sibling that is away."""
    return httpx.Response(503, json={"detail": "away"})


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Run an application in process and hand out a client of it."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://service",
        ) as client,
    ):
        yield client


class WalletManager:
    """Plays wallet-manager: takes on intents under their keys, and tells of sends in a feed.

    Attributes:
        stored: the sends, by key.
        handed_over: the key of every intent that ever arrived, in order.
        loses_replies: how many answers get lost from now on, after the work was done.
        away: True while no call gets through.
        problems: an answer to give for a key instead of taking it on.
        wallets: by id; the treasury is the one of that role.
    """

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.stored: dict[str, SendView] = {}
        self.handed_over: list[str] = []
        self.intents: dict[str, Intent] = {}
        self.loses_replies = 0
        self.away = False
        self.problems: dict[str, SendProblem] = {}
        self.wallets = {"wal_treasury": wallet_view()}
        self.incarnation = "first"
        self.kept_from = 0
        self.events: list[FeedItem[SendView]] = []
        self.acknowledged: list[str] = []

    async def send(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Take intents on."""
        self._reach()
        results = [self._take(intent) for intent in intents]
        self._lose()
        return results

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return sends by key."""
        self._reach()
        assert not txids
        return SendLookupView(sends=[self.stored[key] for key in send_keys if key in self.stored])

    async def sends(self, *, after: str, limit: int, wait_s: int) -> FeedView[SendView]:
        """Return a page of the feed, without waiting."""
        self._reach()
        assert wait_s >= 0
        incarnation, _, number = after.rpartition(".")
        if after and incarnation != self.incarnation:
            raise PeerRefused(peer="wallet-manager", status=409, document={"code": FeedReset.code})
        start = int(number) if number else self.kept_from
        if start < self.kept_from:
            raise PeerRefused(peer="wallet-manager", status=409, document={"code": FeedLost.code})
        items = self.events[start : start + limit]
        return FeedView[SendView](
            items=items,
            next=f"{self.incarnation}.{start + len(items)}",
            incarnation=self.incarnation,
        )

    async def acknowledge(self, *, consumer: str, cursor: str) -> object:
        """Note how far a consumer has come."""
        self._reach()
        self.acknowledged.append(f"{consumer} {cursor}")
        return None

    async def treasury(self) -> WalletView:
        """Return the treasury."""
        self._reach()
        for wallet in self.wallets.values():
            if wallet.role is WalletRole.TREASURY:
                return wallet
        raise PeerRefused(peer="wallet-manager", status=404, document={})

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return a wallet."""
        self._reach()
        if wallet_id not in self.wallets:
            raise PeerRefused(peer="wallet-manager", status=404, document={})
        return self.wallets[wallet_id]

    def becomes(
        self, key: str, state: SendState, *, waiting_for: str | None = None, told: bool = True
    ) -> SendView:
        """Move a send on, and tell of it unless the event gets lost."""
        before = self.stored[key]
        final = state in FINAL_SEND_STATES
        after = before.model_copy(
            update={
                "state": state,
                "txid": before.txid or (None if state is SendState.REFUSED else txid_of(key)),
                "fee_sun": "345000" if final else None,
                "block_height": 1_000 if final else None,
                "waiting_for": waiting_for,
                "refusal": RefusalView(rule="not_after", detail="too late")
                if state is SendState.REFUSED
                else None,
                "updated_at": rfc3339(self.clock.now_ms()),
            }
        )
        self.stored[key] = after
        if told:
            self.tell(after)
        return after

    def tell(self, send: SendView) -> None:
        """Append an event about a send."""
        number = len(self.events) + 1
        self.events.append(
            FeedItem[SendView](
                seq=number,
                id=f"evt_{number}",
                type=f"send.{send.state}",
                at=rfc3339(self.clock.now_ms()),
                object=send,
            )
        )

    def restore(self) -> None:
        """Begin another history of the feed, with nothing told in it yet."""
        self.incarnation += "-restored"
        self.kept_from = 0
        self.events = []

    def trim(self) -> None:
        """Keep none of the events that were told."""
        self.kept_from = len(self.events)

    def _take(self, intent: Intent) -> SendResult:
        key = intent.send_key
        self.handed_over.append(key)
        if key in self.problems:
            return SendResult(send_key=key, problem=self.problems[key])
        replayed = key in self.stored
        if not replayed:
            self.intents[key] = intent
            self.stored[key] = send_view(intent, self.clock)
            self.tell(self.stored[key])
        assert self.intents[key].params == intent.params, "one key, two transfers"
        return SendResult(send_key=key, replayed=replayed, send=self.stored[key])

    def _reach(self) -> None:
        if self.away:
            raise PeerUnavailable("wallet-manager did not answer")

    def _lose(self) -> None:
        if self.loses_replies:
            self.loses_replies -= 1
            raise PeerUnavailable("the reply was lost")


def wallet_view(wallet_id: str = "wal_treasury", at: Address = TREASURY) -> WalletView:
    """Make a wallet; the one of this id is the treasury."""
    is_treasury = wallet_id == "wal_treasury"
    return WalletView(
        wallet_id=wallet_id,
        address=at,
        user_id="operator",
        wallet_type="hot",
        role=WalletRole.TREASURY if is_treasury else WalletRole.PLAIN,
        status=WalletStatus.ACTIVE,
        label="",
        network="devnet",
        derivation_path="m/44'/1'/0'/0/0",
        created_at=rfc3339(START_MS),
    )


def send_view(intent: Intent, clock: Clock) -> SendView:
    """Make the send of an intent that was just taken on."""
    now = rfc3339(clock.now_ms())
    return SendView(
        send_id=f"snd_{intent.send_key}",
        send_key=intent.send_key,
        state=SendState.QUEUED,
        purpose=intent.purpose,
        wallet_id=intent.wallet_id,
        kind=intent.kind,
        params=intent.params,
        txid=None,
        attempt=1,
        expires_at=None,
        fee_limit_sun="0",
        fee_sun=None,
        block_height=None,
        waiting_for=None,
        refusal=None,
        created_at=now,
        updated_at=now,
    )


def txid_of(key: str) -> str:
    """Make a transaction id for a send key."""
    return key.encode().hex().zfill(64)[-64:]
