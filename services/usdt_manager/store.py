"""What usdt-manager keeps: the token as it was last checked."""

from typing import Final

from services.usdt_manager.domain import Token
from shared.storage import Collection, Schema, Storage, Unit

TOKENS: Final = Collection(name="tokens", record=Token)

SCHEMA: Final = Schema(service="usdt-manager", version=1, collections=(TOKENS,))


class UsdtStore:
    """usdt-manager's records."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def token(self, contract: str) -> Token | None:
        """Return the token as last checked, or None before the first check."""
        return await self._storage.get(TOKENS, contract)

    async def save_token(self, token: Token) -> None:
        """Store the outcome of a check."""
        unit = Unit()
        if token.version:
            unit.update(TOKENS, token)
        else:
            unit.insert(TOKENS, token)
        await self._storage.commit(unit)
