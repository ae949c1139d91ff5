"""The check of the audit log beside a stopped service."""

import re
from collections.abc import Callable, Sequence

from services.wallet_manager.cli.door import own_storage
from services.wallet_manager.service.audit import verify
from services.wallet_manager.settings import Settings


async def verify_audit(
    settings: Settings, *, anchors: Sequence[tuple[int, str]], show: Callable[[str], None]
) -> bool:
    """Check the chain of every decision while the service is stopped; True if it is whole.

    While it runs, ``POST /api/v1/audit/verify`` checks the same inside it.

    Args:
        settings: where the database is.
        anchors: numbers and digests that were written down elsewhere.
        show: is given the finding, and the number and digest to write down for the next time.

    Raises:
        StorageLocked: wallet-manager is running.
    """
    async with own_storage(settings) as storage:
        verified = await verify(storage, anchors=anchors)
    if (broken := verified.broken) is not None:
        show(f"broken at decision {broken.number}: {broken.detail}")
        return False
    show(f"whole: {verified.count} decisions; write down {verified.count}:{verified.digest}")
    return True


def anchor(text: str) -> tuple[int, str]:
    """Read ``number:digest``; raises ValueError."""
    number, _, digest = text.partition(":")
    if int(number) < 1 or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("an anchor is the number of a decision, a colon, and its 64 hex digits")
    return int(number), digest
