"""Which service may have what signed, and why: default deny (hazard H18)."""

from collections.abc import Mapping
from typing import Final

from services.wallet_manager.domain.meaning import ImpossibleSend
from shared.errors import Forbidden
from shared.ids import split_send_key
from shared.models.wallet_sends import Intent, Purpose, SendKind

_TRANSFERS: Final = frozenset({SendKind.TRX_TRANSFER, SendKind.TRC20_TRANSFER})
_STAKES: Final = frozenset(
    {
        SendKind.FREEZE_BALANCE,
        SendKind.UNFREEZE_BALANCE,
        SendKind.CANCEL_UNFREEZE,
        SendKind.WITHDRAW_UNFROZEN,
        SendKind.DELEGATE,
        SendKind.UNDELEGATE,
        SendKind.VOTE,
        SendKind.CLAIM_REWARDS,
    }
)

ALLOWED: Final[Mapping[tuple[str, Purpose], frozenset[SendKind]]] = {
    ("payout-router", Purpose.PAYOUT): _TRANSFERS,
    ("payment-gateway", Purpose.PAYMENT): _TRANSFERS,
    ("payment-gateway", Purpose.REFUND): _TRANSFERS,
    ("payment-gateway", Purpose.SWEEP): _TRANSFERS,
    ("payment-gateway", Purpose.ACTIVATION): frozenset(
        {SendKind.TRX_TRANSFER, SendKind.ACCOUNT_ACTIVATE}
    ),
    ("payment-gateway", Purpose.FEE_TOP_UP): frozenset({SendKind.TRX_TRANSFER}),
    ("trx-staking", Purpose.STAKE): _STAKES,
    ("usdt-manager", Purpose.ALLOWANCE): frozenset({SendKind.TRC20_APPROVE}),
    ("payout-router", Purpose.MAINTENANCE): frozenset(
        {SendKind.PERMISSION_UPDATE, SendKind.CONTRACT_CALL}
    ),
}
"""The kinds that each (originating service, purpose) may ask for; any other pair is refused."""

OPT_IN: Final = frozenset(
    {SendKind.TRC20_APPROVE, SendKind.PERMISSION_UPDATE, SendKind.CONTRACT_CALL}
)
"""Kinds that no wallet allows until its policy names them.

Each lets somebody else act for us later: a spender, a holder of a key, a contract.
"""

TO_OURS: Final = frozenset({Purpose.SWEEP, Purpose.ACTIVATION, Purpose.FEE_TOP_UP})
"""Purposes for which money moves between addresses of ours alone (hazards H12 and H18)."""

USDT_CARRIER: Final = "usdt-manager"
"""The one service that may hand on token transfers that others began."""


class PolicyRefusal(Forbidden):
    """The signing policy does not know this combination; nothing was stored or signed."""

    code = "LUCID_ERR_9320"
    title = "Refused by the signing policy"


def check_ends(intent: Intent, *, is_to_own_wallet: bool, is_to_ours: bool) -> None:
    """Raise PolicyRefusal where a purpose does not fit who pays and who is paid.

    Args:
        intent: what is asked for.
        is_to_own_wallet: the recipient is the treasury, or the own address of the wallet that pays.
        is_to_ours: it is that or a deposit address.
    """
    purpose = intent.purpose
    if intent.from_address is not None and purpose is not Purpose.SWEEP:
        told = f"a deposit address pays for sweeps alone, not for a {purpose}"
        raise PolicyRefusal(told, rule="leaf_purpose")
    if purpose in TO_OURS and not is_to_ours:
        raise PolicyRefusal(f"a {purpose} goes to an address of ours alone", rule="own_address")
    if purpose is Purpose.SWEEP and not is_to_own_wallet:
        told = "a sweep goes to the treasury or to the own address of its wallet"
        raise PolicyRefusal(told, rule="own_wallet")


def check(intent: Intent, *, caller: str | None) -> None:
    """Raise PolicyRefusal unless this caller may have this intent signed, ImpossibleSend for a bad key."""
    origin = intent.origin.service
    try:
        begun_by, _, _ = split_send_key(intent.send_key)
    except ValueError as error:
        raise ImpossibleSend(str(error), field="send_key") from None
    if begun_by != origin:
        raise PolicyRefusal("the send key belongs to another service", rule="send_key_origin")
    carried = caller == USDT_CARRIER and intent.kind is SendKind.TRC20_TRANSFER
    if caller != origin and not carried:
        raise PolicyRefusal("a service asks for its own sends alone", rule="caller")
    if intent.kind not in ALLOWED.get((origin, intent.purpose), frozenset()):
        raise PolicyRefusal(
            f"{origin} may not have {intent.kind} signed for {intent.purpose}", rule="purpose"
        )
