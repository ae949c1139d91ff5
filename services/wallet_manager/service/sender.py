"""The send engine: intents in, signed attempts out, each send on chain at most once.

An intent is stored before anything else happens. Signing and the hold on the money are one commit;
only then do bytes leave. TRON has no nonce, so sends that move value never wait for one another.
"""

from collections.abc import Callable, Sequence

from services.wallet_manager.service.intake import Intake
from services.wallet_manager.service.signing import Signing
from services.wallet_manager.service.submission import Submission
from shared.models.wallet_sends import Intent, SendResult


class Sender:
    """Takes intents on and brings them to the chain."""

    def __init__(self, *, intake: Intake, signing: Signing, submission: Submission) -> None:
        self._intake = intake
        self._signing = signing
        self.unready_reason = signing.unready_reason
        self.submit_signed = submission.submit_signed
        self.hand_over_again = submission.hand_over_again
        self.send = intake.send
        self.lookup = intake.lookup
        self._wake_signing: Callable[[], None] = _nothing
        self._wake_submitting: Callable[[], None] = _nothing

    def when_there_is_work(self, *, sign: Callable[[], None], submit: Callable[[], None]) -> None:
        """Say whom to wake when there is something to sign or to submit."""
        self._wake_signing = sign
        self._wake_submitting = submit

    async def accept(self, intents: Sequence[Intent], *, caller: str | None) -> list[SendResult]:
        """Take intents on, each on its own; a repeated key returns the stored send.

        Returns:
            One result for each intent, in order: the stored send, or why nothing was stored.

        Raises:
            Forbidden: the caller is no service.
        """
        results = await self._intake.accept(intents, caller=caller)
        if any(result.send is not None and not result.replayed for result in results):
            self._wake_signing()
        return results

    async def sign_due(self) -> bool:
        """Sign a batch of queued sends that are due; True when there may be more."""
        has_more = await self._signing.sign_due()
        self._wake_submitting()
        return has_more


def _nothing() -> None:
    return None
