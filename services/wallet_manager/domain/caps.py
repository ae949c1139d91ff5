"""What a send counts under the caps, and what the rules say of it, with the figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.wallet_manager.domain.meaning import details_from
from services.wallet_manager.domain.rulebook import DAY_MS, HOUR_MS, Caps, Rulebook
from services.wallet_manager.domain.sends import Hold, Send
from shared.models.wallet_sends import Purpose, SendKind
from shared.money import Currency, format_base_units

BUCKET_MS: Final = 600_000
"""Width of a bucket of what was spent: a window counts up to this much longer than its length."""

BUCKETS: Final = DAY_MS // BUCKET_MS + 2
"""A day and the bucket that it begins in."""

SELECTOR_DIGITS: Final = 8
"""Of the four bytes that name a function, in hex."""

_VALUE_KINDS: Final[Mapping[str, Currency]] = {
    "trx_transfer": Currency.TRX,
    "trc20_transfer": Currency.USDT,
    "trc20_approve": Currency.USDT,
}
"""The kinds that let others have money; stakes stay our own and are bounded by fees alone."""

_ALWAYS_AGREED: Final = frozenset({SendKind.PERMISSION_UPDATE})
"""The kinds that people agree to whatever the amount: one such hands the whole account over."""

_KEPT_TRX_KINDS: Final = frozenset({"trx_transfer", "freeze_balance"})
"""The kinds whose hold of TRX is their amount besides the fee."""


class CapRule(StrEnum):
    """Which rule of a policy says no."""

    KIND = "policy_kind"
    PURPOSE = "policy_purpose"
    TOKEN = "policy_token"  # noqa: S105 - a rule about tokens
    CALL = "policy_call"
    DESTINATION = "policy_destination"
    CURRENCY = "policy_currency"
    PER_SEND = "cap_per_send"
    PER_HOUR = "cap_per_hour"
    PER_DAY = "cap_per_day"
    PER_DESTINATION = "cap_per_destination"
    UNPROVED = "cap_unproved_attempts"
    FEES = "cap_fees_per_hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that a send breaks.

    Attributes:
        rule: its name.
        detail: a sentence with the figures.
        asked: what the send would take, in base units; None where the rule is no figure.
        limit: what the rule allows.
        spent: what was taken in its window already.
    """

    rule: CapRule
    detail: str
    asked: int | None = None
    limit: int | None = None
    spent: int | None = None

    def facts(self) -> dict[str, str]:
        """Return the figures that there are, as texts."""
        figures = {"asked": self.asked, "limit": self.limit, "spent": self.spent}
        return {name: str(figure) for name, figure in figures.items() if figure is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One cap over a window of time, as it bears on one send.

    Attributes:
        rule: its name.
        subject: whose sum it bounds; the key of what was spent.
        length_ms: of the window.
        amount: what the send adds.
        limit: the largest sum.
        unit: of the figures in a sentence.
    """

    rule: CapRule
    subject: str
    length_ms: int
    amount: int
    limit: int
    unit: str


def value_of(send: Send) -> tuple[Currency, int] | None:
    """Return what a send lets others have; None for what keeps the money ours.

    Intake takes a sweep on only if it goes to the treasury or stays with its wallet, so no cap on theft
    bears on it.
    """
    currency = _VALUE_KINDS.get(send.kind)
    if currency is None or send.purpose is Purpose.SWEEP:
        return None
    return currency, send.amount


def fee_of(send: Send, hold: Hold) -> int:
    """Return the worst fee in a hold, in sun."""
    return hold.trx_sun - (send.amount if send.kind in _KEPT_TRX_KINDS else 0)


def counted(send: Send, hold: Hold) -> dict[str, int]:
    """Return what an attempt adds to each sum, by subject."""
    sums = {fees_subject(send.wallet_id): fee_of(send, hold)}
    if (value := value_of(send)) is not None:
        currency, amount = value
        sums[value_subject(send.wallet_id, currency)] = amount
        if send.recipient is not None:
            sums[destination_subject(send.wallet_id, currency, send.recipient)] = amount
        if send.attempt:
            sums[unproved_subject(send.wallet_id, currency)] = amount
    return sums


def subjects_of(send: Send) -> tuple[str, ...]:
    """Return every subject that an attempt of the send may count under."""
    found = [fees_subject(send.wallet_id)]
    if (value := value_of(send)) is not None:
        currency, _ = value
        found.append(value_subject(send.wallet_id, currency))
        found.append(unproved_subject(send.wallet_id, currency))
        if send.recipient is not None:
            found.append(destination_subject(send.wallet_id, currency, send.recipient))
    return tuple(found)


def fees_subject(wallet_id: str) -> str:
    """Name the sum of a wallet's fees."""
    return f"{wallet_id}|fees"


def value_subject(wallet_id: str, currency: Currency) -> str:
    """Name the sum of what a wallet sent of a currency."""
    return f"{wallet_id}|{currency.value}"


def destination_subject(wallet_id: str, currency: Currency, recipient: str) -> str:
    """Name the sum of what a wallet sent to one address."""
    return f"{wallet_id}|{currency.value}|{recipient}"


def unproved_subject(wallet_id: str, currency: Currency) -> str:
    """Name the sum of a wallet's new attempts on the word of one operator."""
    return f"{wallet_id}|{currency.value}|unproved"


def standing_breach(send: Send, rules: Rulebook) -> Breach | None:
    """Return the rule that forbids the send whatever was spent, or None."""
    if send.kind not in rules.kinds:
        return Breach(rule=CapRule.KIND, detail=f"{send.kind} is not allowed")
    if send.kind not in rules.kinds_for(send.origin_service, send.purpose):
        told = f"{send.origin_service} may not have {send.kind} signed for {send.purpose}"
        return Breach(rule=CapRule.PURPOSE, detail=told)
    if (breach := _contract_breach(send, rules)) is not None:
        return breach
    allowed = rules.destinations
    if send.recipient is not None and allowed is not None and send.recipient not in allowed:
        told = f"{send.recipient} is not among the {len(allowed)} allowed destinations"
        return Breach(rule=CapRule.DESTINATION, detail=told)
    return _amount_breach(send, rules)


def _contract_breach(send: Send, rules: Rulebook) -> Breach | None:
    contract = send.contract
    if contract is None:
        return None
    if send.kind is not SendKind.CONTRACT_CALL:
        told = f"the token {contract} is not allowed"
        return None if contract in rules.tokens else Breach(rule=CapRule.TOKEN, detail=told)
    if contract in rules.tokens:  # a transfer in disguise would pass every cap
        return Breach(rule=CapRule.CALL, detail=f"{contract} is a token: no free calls to it")
    selector = (details_from(send.details).data or "")[:SELECTOR_DIGITS]
    if selector not in rules.selectors_of(contract):
        return Breach(
            rule=CapRule.CALL, detail=f"the function {selector} of {contract} is not listed"
        )
    return None


def _amount_breach(send: Send, rules: Rulebook) -> Breach | None:
    value = value_of(send)
    if value is None:
        return None
    currency, amount = value
    caps = rules.caps_of(currency)
    if caps is None:
        return Breach(
            rule=CapRule.CURRENCY, detail=f"there are no caps for {currency}: none is sent"
        )
    for rule, limit in _caps_on_one(caps):
        if amount > limit:
            told = f"{_money(amount, currency)} asked, {_money(limit, currency)} allowed at most"
            return Breach(rule=rule, detail=f"{rule}: {told}", asked=amount, limit=limit)
    return None


def window_breach(
    send: Send, hold: Hold, rules: Rulebook, *, is_unproved: bool, spent: Callable[[str, int], int]
) -> Breach | None:
    """Return the cap over a window that an attempt would pass, or None.

    Args:
        send: what is about to be signed.
        hold: what it may take at worst.
        rules: in force now.
        is_unproved: one node operator alone proved the attempt before absent.
        spent: the sum of a subject over the last so many milliseconds.
    """
    for window in _windows(send, hold, rules, is_unproved=is_unproved):
        before = spent(window.subject, window.length_ms)
        if before + window.amount > window.limit:
            told = (
                f"{window.rule}: {format_base_units(window.amount)} {window.unit} asked,"
                f" {format_base_units(before)} of {format_base_units(window.limit)} spent"
            )
            return Breach(
                rule=window.rule,
                detail=told,
                asked=window.amount,
                limit=window.limit,
                spent=before,
            )
    return None


def _windows(send: Send, hold: Hold, rules: Rulebook, *, is_unproved: bool) -> list[Window]:
    windows = [
        Window(
            rule=CapRule.FEES,
            subject=fees_subject(send.wallet_id),
            length_ms=HOUR_MS,
            amount=fee_of(send, hold),
            limit=rules.fees_per_hour_sun,
            unit="TRX of fees",
        )
    ]
    value = value_of(send)
    caps = rules.caps_of(value[0]) if value else None
    if value is None or caps is None:
        return windows
    currency, amount = value
    own = value_subject(send.wallet_id, currency)
    bounds = [
        (CapRule.PER_HOUR, own, HOUR_MS, caps.per_hour),
        (CapRule.PER_DAY, own, DAY_MS, caps.per_day),
    ]
    if send.recipient is not None:
        one = destination_subject(send.wallet_id, currency, send.recipient)
        bounds.append((CapRule.PER_DESTINATION, one, DAY_MS, caps.per_destination))
    if is_unproved:
        again = unproved_subject(send.wallet_id, currency)
        bounds.append((CapRule.UNPROVED, again, DAY_MS, caps.unproved_per_day))
    windows += [
        Window(
            rule=rule,
            subject=subject,
            length_ms=length_ms,
            amount=amount,
            limit=limit,
            unit=currency.value,
        )
        for rule, subject, length_ms, limit in bounds
    ]
    return windows


def needs_approval(send: Send, rules: Rulebook) -> bool:
    """True when people have to agree to the send first."""
    if send.kind in _ALWAYS_AGREED:
        return True
    value = value_of(send)
    caps = rules.caps_of(value[0]) if value else None
    return value is not None and caps is not None and value[1] > caps.agreed_above


def _caps_on_one(caps: Caps) -> tuple[tuple[CapRule, int], ...]:
    return (
        (CapRule.PER_SEND, caps.per_send),
        (CapRule.PER_HOUR, caps.per_hour),
        (CapRule.PER_DAY, caps.per_day),
        (CapRule.PER_DESTINATION, caps.per_destination),
    )


def _money(amount: int, currency: Currency) -> str:
    return f"{format_base_units(amount)} {currency.value}"
