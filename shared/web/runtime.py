"""What a service is built with, and the starter that builds it as soon as that is possible.

A container that is given nothing but its network starts, is healthy, says in readiness what it
lacks, and refuses business calls until the operator has provided it; no restart is needed then.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, Generic, Self, TypeVar

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.auth import OPERATOR, ServiceIdentity, TokenVerifier, TrustedKeys, load_public_key
from shared.backups import Backups
from shared.clock import MS_PER_S, Clock, FollowingClock, SystemClock
from shared.config import SERVICES, ConfigurationMissing, ServiceSettings, read_secret
from shared.errors import Problem, Unavailable
from shared.logs import get_logger
from shared.loop import Loop, LoopSpec, backoff_s
from shared.metrics import Metrics
from shared.peers.caller import PeerHttp
from shared.peers.devnet import DevnetClock
from shared.storage import Schema, Stamp, Storage, StorageError
from shared.storage.opening import open_storage
from shared.tron.networks import FACTS, Network
from shared.web.database import DatabaseWatch
from shared.web.edge import Gate
from shared.web.operations import (
    RECOVERY_KEY,
    BackupSchedule,
    Operations,
    files_size,
)
from shared.web.probes import Probes, Readiness

log = get_logger(__name__)

T = TypeVar("T")

_CLOCK_INTERVAL_S: Final = 1.0
_KEYS_INTERVAL_S: Final = 30.0
_STORAGE_INTERVAL_S: Final = 5.0
_BACKUP_INTERVAL_S: Final = 30.0
_BACKUP_STALE_S: Final = 600
_LONGEST_START_PAUSE_S: Final = 15.0


class Runtime:
    """The collaborators that every service has; one per process.

    Attributes:
        service: its name.
        settings: what the environment said.
        clock: the time, the devnet's on the devnet.
        metrics: the process's metrics.
        readiness: reasons not to send business calls.
        operations: what the operator may ask of the database.
        database: what readiness knows of the database, once it is open.
        probes: where a service adds its details and counts.
        gate: the verifier of tokens in force.
        stack: what to close, last opened first.
    """

    def __init__(
        self,
        *,
        service: str,
        settings: ServiceSettings,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.service = service
        self.settings = settings
        self.metrics = Metrics()
        self.readiness = Readiness()
        self.gate = Gate()
        self.stack = AsyncExitStack()
        self.probes = Probes(
            service=service,
            network=settings.tron_network.value,
            readiness=self.readiness,
            metrics=self.metrics,
        )
        self._follows_devnet = clock is None and settings.tron_network is Network.DEVNET
        self.clock: Clock = clock or (FollowingClock() if self._follows_devnet else SystemClock())
        self.operations = self._operations()
        self.probes.standing["backup"] = self.operations.standing
        self.database: DatabaseWatch | None = None
        self._transport = transport
        self._identity: ServiceIdentity | None = None
        self.http = self._client()

    def _operations(self) -> Operations:
        settings = self.settings
        return Operations(
            service=self.service,
            backups=Backups(
                service=self.service,
                recovery_key=settings.keys_path() / RECOVERY_KEY,
                folder=settings.backups_path(),
                work=settings.database_path(self.service).parent,
                keep=settings.backup_keep,
                clock=self.clock,
            ),
            schedule=BackupSchedule(
                interval_ms=settings.backup_interval_s * MS_PER_S,
                overdue_ms=settings.backup_overdue_s * MS_PER_S,
            ),
            clock=self.clock,
            metrics=self.metrics,
        )

    def _client(self) -> httpx.AsyncClient:
        settings = self.settings
        return httpx.AsyncClient(
            transport=self._transport,
            timeout=httpx.Timeout(
                None, connect=settings.peer_connect_timeout_s
            ),  # PeerHttp has deadlines
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self.stack.enter_async_context(self.http)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    def usdt_contract(self) -> str:
        """Return the USDT contract of this network or of the setting."""
        contract = self.settings.usdt_contract_address
        return contract or FACTS[self.settings.tron_network].usdt_contract

    async def trust_keys(self) -> bool:
        """Load the public keys and revocations that are there now, and open the gate to them."""
        keys = await asyncio.to_thread(self._read_keys)
        self.gate.verifier = TokenVerifier(
            service=self.service,
            keys=keys,
            clock=self.clock,
            leeway_s=self.settings.token_leeway_s,
        )
        return False

    def _read_keys(self) -> TrustedKeys:
        folder = self.settings.keys_path()
        public: dict[str, Ed25519PublicKey] = {}
        for issuer in (OPERATOR, *SERVICES):
            path = folder / f"{issuer}.pub.pem"
            with contextlib.suppress(FileNotFoundError):
                public[issuer] = _public_key(path)
        if OPERATOR not in public:
            raise ConfigurationMissing(
                f"no operator key: {folder / OPERATOR}.pub.pem does not exist; "
                "run 'python -m services init'"
            )
        revoked: frozenset[str] = frozenset()
        with contextlib.suppress(FileNotFoundError):
            revoked = frozenset((folder / "revoked.txt").read_text().split())
        secret_path = self.settings.secrets_path(self.service) / "gateway-shared-secret"
        shared = (
            read_secret(secret_path, purpose="the gateway's secret")
            if secret_path.exists()
            else None
        )
        return TrustedKeys(
            public=public, shared_secret=shared.strip() if shared else None, revoked=revoked
        )

    async def identity(self) -> ServiceIdentity:
        """Return this service's own identity; raises ConfigurationMissing."""
        if self._identity is None:
            path = self.settings.secrets_path(self.service) / "identity.pem"
            pem = await asyncio.to_thread(read_secret, path, purpose="this service's identity")
            self._identity = ServiceIdentity.from_pem(pem, service=self.service, clock=self.clock)
        return self._identity

    async def peer(self, name: str, base_url: str) -> PeerHttp:
        """Return the caller of one sibling; raises ConfigurationMissing."""
        return PeerHttp(
            peer=name,
            base_url=base_url,
            client=self.http,
            identity=await self.identity(),
            timeout_s=self.settings.peer_timeout_s,
            deadline_s=self.settings.peer_deadline_s,
            attempts=self.settings.peer_attempts,
        )

    async def storage(self, schema: Schema) -> Storage:
        """Open this service's database and close it at the end; raises StorageError."""
        stamp = Stamp(network=self.settings.tron_network.value, contract=self.usdt_contract())
        self.stack.push_async_callback(self.operations.tidy)
        storage = await open_storage(self.settings, self.service, schema, stamp)
        self.stack.push_async_callback(storage.close)
        await self._watch(storage)
        await self._back_up(storage, self.settings.database_path(self.service))
        return storage

    async def _watch(self, storage: Storage) -> None:
        self.database = DatabaseWatch(storage)
        self.readiness.add("storage", self.database.reason)
        work = self.database.look
        await self.run(LoopSpec(name="storage", interval_s=_STORAGE_INTERVAL_S, work=work))

    async def _back_up(self, storage: Storage, path: Path) -> None:
        await self.operations.attach(storage, partial(files_size, path))
        self.stack.push_async_callback(self.operations.detach)
        await self.run(
            LoopSpec(
                name="backup",
                interval_s=_BACKUP_INTERVAL_S,
                work=self.operations.keep_up,
                stale_after_s=_BACKUP_STALE_S,
            )
        )

    async def run(self, *specs: LoopSpec) -> dict[str, Loop]:
        """Start loops; they stop before what they use is closed."""
        loops = {
            spec.name: Loop(
                spec,
                clock=self.clock,
                metrics=self.metrics,
                jitter_percent=self.settings.loop_jitter_percent,
            )
            for spec in specs
        }
        for name, loop in loops.items():
            self.readiness.add(f"loop {name}", loop.unready_reason)
            task = asyncio.create_task(loop.run(), name=f"loop {name}")
            self.stack.push_async_callback(stopped, task)
        return loops

    async def follow_time(self) -> None:
        """On the devnet, take its time now and keep following it; elsewhere do nothing."""
        clock = self.clock
        if not self._follows_devnet or not isinstance(clock, FollowingClock):
            return
        source = DevnetClock(control_url=self.settings.devnet_control_url, client=self.http)

        async def follow() -> bool:
            clock.follow(await source.read())
            return False

        with contextlib.suppress(Unavailable):
            await follow()
        await self.run(LoopSpec(name="devnet-clock", interval_s=_CLOCK_INTERVAL_S, work=follow))


class Starter(Generic[T]):
    """Builds the service, again and again until it works, and holds it.

    Attributes:
        tried: set once the first attempt is over.
        service: what was built, or None while something is missing.
    """

    def __init__(self, build: Callable[[Runtime], Awaitable[T]], runtime: Runtime) -> None:
        self._build = build
        self._runtime = runtime
        self._reason: str | None = "starting"
        self.tried = asyncio.Event()
        self.service: T | None = None

    def reason(self) -> str | None:
        """Say what is missing, or None."""
        return self._reason

    async def run(self) -> None:
        """Build the service; returns once it stands."""
        failures = 0
        while self.service is None:
            inner = AsyncExitStack()
            outer, self._runtime.stack = self._runtime.stack, inner
            try:
                await self._runtime.trust_keys()
                self.service = await self._build(self._runtime)
            except Exception as error:  # noqa: BLE001 - the starter's edge: say why, try again
                failures += 1
                self._note(error)
            finally:
                self._runtime.stack = outer
                await self._keep_or_undo(inner)
            self.tried.set()
            if self.service is None:
                pause_s = backoff_s(failures, base_s=0.5, longest_s=_LONGEST_START_PAUSE_S)
                await asyncio.sleep(pause_s)
        self._reason = None
        await self._runtime.run(
            LoopSpec(
                name="trusted-keys",
                interval_s=_KEYS_INTERVAL_S,
                stale_after_s=300,
                work=self._runtime.trust_keys,
            )
        )
        log.info("service.started", service=self._runtime.service)

    def _note(self, error: Exception) -> None:
        expected = isinstance(error, ConfigurationMissing | StorageError | Problem | OSError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        if self._reason != reason:
            self._reason = reason
            log.warning("service.incomplete", reason=reason, exc_info=not expected)

    async def _keep_or_undo(self, inner: AsyncExitStack) -> None:
        if self.service is None:
            await inner.aclose()
        else:
            self._runtime.stack.push_async_callback(inner.aclose)


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        return load_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationMissing(f"{path} is no Ed25519 public key in PEM") from None


async def stopped(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
