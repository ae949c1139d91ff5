"""Backup and integrity check, inside the process that owns the database (hazard H25)."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter

from shared.access import Scope
from shared.auth import Principal
from shared.clock import Clock, rfc3339
from shared.errors import NotReady
from shared.models.operations import BackupView, IntegrityView
from shared.sealing import seal
from shared.storage import Storage
from shared.web.problems import declares
from shared.web.security import requires

RECOVERY_KEY: Final = "recovery.pub"

Operator = Annotated[Principal, requires(Scope.OPS_ADMIN)]


class Operations:
    """What the operator may ask of a service's database."""

    def __init__(self, *, service: str, keys: Path, backups: Path, clock: Clock) -> None:
        self._service = service
        self._keys = keys
        self._backups = backups
        self._clock = clock
        self.storage: Storage | None = None

    async def backup(self) -> BackupView:
        """Copy the database online, seal the copy, keep only the sealed one.

        Raises:
            NotReady: the database is not open, or there is no recovery key to seal to.
        """
        storage = self._open()
        now_ms = self._clock.now_ms()
        stamp = rfc3339(now_ms).replace(":", "").replace("-", "")
        await asyncio.to_thread(self._backups.mkdir, mode=0o700, parents=True, exist_ok=True)
        plain = self._backups / f".{self._service}-{stamp}.plain"
        sealed = self._backups / f"{self._service}-{stamp}.sealed"
        public = await asyncio.to_thread(self._recovery_key)
        try:
            await storage.backup(plain)
            digest = await asyncio.to_thread(seal, plain, sealed, public=public)
        finally:
            await asyncio.to_thread(plain.unlink, missing_ok=True)
        size = (await asyncio.to_thread(sealed.stat)).st_size
        return BackupView(
            service=self._service,
            file=sealed.name,
            size_bytes=size,
            sha256=digest,
            incarnation=storage.incarnation,
            made_at=rfc3339(now_ms),
        )

    async def check(self) -> IntegrityView:
        """Check the database as a whole; raises StorageCorrupt."""
        storage = self._open()
        await storage.check()
        return IntegrityView(
            service=self._service,
            sound=True,
            incarnation=storage.incarnation,
            checked_at=rfc3339(self._clock.now_ms()),
        )

    def _open(self) -> Storage:
        if self.storage is None:
            raise NotReady("the database is not open", retry_after_s=5)
        return self.storage

    def _recovery_key(self) -> str:
        path = self._keys / RECOVERY_KEY
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise NotReady(f"there is no recovery key to seal to: {path} is missing") from None

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/api/v1/ops", tags=["operations"])

        async def backup(_: Operator) -> BackupView:
            """Write a sealed copy of this service's database into the backups folder."""
            return await self.backup()

        async def integrity_check(_: Operator) -> IntegrityView:
            """Check this service's database as a whole."""
            return await self.check()

        answers = declares(NotReady)
        router.add_api_route(
            "/backup", backup, methods=["POST"], status_code=201, responses=answers
        )
        router.add_api_route(
            "/integrity-check", integrity_check, methods=["POST"], responses=answers
        )
        return router
