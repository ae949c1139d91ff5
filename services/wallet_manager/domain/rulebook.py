"""A wallet's policy as a versioned document: what may be signed, how much, and who has to agree.

A change that allows less holds at once; what it allows more only after a cooling-off, on the ledger's
clock. The document in force in between is the strictest of the old one and the new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain import policy
from shared.errors import BadRequest, Conflict
from shared.models.wallet_sends import Purpose, SendKind
from shared.money import Currency
from shared.tron.address import Address

EVERY_WALLET: Final = "all"
"""The scope of the policy for wallets without one of their own."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
COOLING_OFF_MS: Final = DAY_MS


class InvalidPolicy(BadRequest):
    """The document contradicts itself."""

    code = "LUCID_ERR_9350"
    title = "Invalid policy"


class PolicyMoved(Conflict):
    """The policy was changed since the caller read it; ``revision`` is that of now."""

    code = "LUCID_ERR_9351"
    title = "The policy was changed meanwhile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of one currency a wallet may send, in base units.

    Attributes:
        per_send: largest single send.
        per_hour: all sends of a rolling hour.
        per_day: all sends of a rolling day.
        per_destination: all sends to one address in a rolling day.
        unproved_per_day: new attempts of a rolling day whose predecessor one node operator alone
            proved absent (hazard H1).
        agreed_above: a larger send waits for approvals.
    """

    currency: Currency
    per_send: int
    per_hour: int
    per_day: int
    per_destination: int
    unproved_per_day: int
    agreed_above: int

    def strictest(self, other: "Caps") -> "Caps":
        """Return the smaller of every figure."""
        return Caps(
            currency=self.currency,
            per_send=min(self.per_send, other.per_send),
            per_hour=min(self.per_hour, other.per_hour),
            per_day=min(self.per_day, other.per_day),
            per_destination=min(self.per_destination, other.per_destination),
            unproved_per_day=min(self.unproved_per_day, other.unproved_per_day),
            agreed_above=min(self.agreed_above, other.agreed_above),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The kinds that one service may have signed for one purpose (hazard H18)."""

    service: str
    purpose: Purpose
    kinds: frozenset[SendKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRule:
    """The functions of one contract that may be called: selectors of four bytes, in hex."""

    contract: Address
    selectors: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What one wallet, or every wallet without a policy of its own, may have signed.

    Attributes:
        kinds: of sends, whoever asks.
        tokens: contracts whose transfers and approvals may be signed.
        pairs: who may ask for what.
        destinations: the only recipients; None for any.
        calls: contracts and functions for free calls; those of a token count as not listed.
        caps: by currency; a currency without caps is not sent at all.
        fees_per_hour_sun: worst fees of a rolling hour.
        quorum: how many people have to agree to a large send.
    """

    kinds: frozenset[SendKind]
    tokens: frozenset[Address]
    pairs: tuple[Pair, ...]
    destinations: frozenset[Address] | None = None
    calls: tuple[ContractRule, ...] = ()
    caps: tuple[Caps, ...]
    fees_per_hour_sun: int
    quorum: int = 2

    def __post_init__(self) -> None:
        figures = [self.fees_per_hour_sun]
        for caps in self.caps:
            figures += [caps.per_send, caps.per_hour, caps.per_day, caps.per_destination]
            figures += [caps.unproved_per_day, caps.agreed_above]
        if any(figure < 0 for figure in figures):
            raise InvalidPolicy("a cap is not negative", field="caps")
        if len({caps.currency for caps in self.caps}) != len(self.caps):
            raise InvalidPolicy("a currency has its caps once", field="caps")
        if len({(pair.service, pair.purpose) for pair in self.pairs}) != len(self.pairs):
            raise InvalidPolicy("a service and purpose stand in one line", field="pairs")
        if len({rule.contract for rule in self.calls}) != len(self.calls):
            raise InvalidPolicy("a contract stands in one line", field="calls")
        if self.quorum < 1:
            raise InvalidPolicy("a quorum is at least one person", field="quorum")

    def caps_of(self, currency: Currency) -> Caps | None:
        """Return the caps of a currency, or None where it is not sent."""
        return next((caps for caps in self.caps if caps.currency is currency), None)

    def kinds_for(self, service: str, purpose: Purpose) -> frozenset[SendKind]:
        """Return the kinds that a service may have signed for a purpose."""
        for pair in self.pairs:
            if (pair.service, pair.purpose) == (service, purpose):
                return pair.kinds & self.kinds
        return frozenset()

    def free_calls(self) -> tuple[ContractRule, ...]:
        """Return the functions that may be called: of a token none, it would be a transfer in disguise.

        So a document that takes a token off its list allows more, if it lists functions of it.
        """
        return tuple(rule for rule in self.calls if rule.contract not in self.tokens)

    def selectors_of(self, contract: Address) -> frozenset[str]:
        """Return the functions of a contract that may be called."""
        return next(
            (rule.selectors for rule in self.calls if rule.contract == contract), frozenset()
        )

    def strictest(self, other: "Rulebook") -> "Rulebook":
        """Return a document that allows what both allow, and asks for what either asks for."""
        return Rulebook(
            kinds=self.kinds & other.kinds,
            tokens=self.tokens & other.tokens,
            pairs=_common_pairs(self.pairs, other.pairs),
            destinations=_common(self.destinations, other.destinations),
            calls=_common_calls(self.free_calls(), other.free_calls()),
            caps=tuple(
                caps.strictest(others)
                for caps in self.caps
                if (others := other.caps_of(caps.currency)) is not None
            ),
            fees_per_hour_sun=min(self.fees_per_hour_sun, other.fees_per_hour_sun),
            quorum=max(self.quorum, other.quorum),
        )

    def allows_no_more_than(self, other: "Rulebook") -> bool:
        """True when nothing is allowed here that the other document forbids."""
        return _meaning(self.strictest(other)) == _meaning(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy of one scope as stored.

    Attributes:
        id: the wallet, or ``EVERY_WALLET``.
        revision: number of the change that made it; 0 for the one the service came with.
        explicit: whether a person decided on it; mainnet signs under no other.
        rules: in force until ``next_ms``.
        coming: in force from then on; None if nothing more is allowed later.
        next_ms: on the ledger's clock.
    """

    id: str
    version: int = 0
    revision: int
    explicit: bool
    rules: Rulebook
    coming: Rulebook | None = None
    next_ms: int = 0

    def at(self, now_ms: int) -> Rulebook:
        """Return the rules in force at a time on the ledger's clock."""
        return self.coming if self.coming is not None and now_ms >= self.next_ms else self.rules

    def changed(self, wanted: Rulebook, *, now_ms: int, cooling_off_ms: int) -> "Policy":
        """Return the policy after a change: stricter at once, looser after the cooling-off."""
        before = self.at(now_ms)
        loosens = not wanted.allows_no_more_than(before)
        return replace(
            self,
            revision=self.revision + 1,
            explicit=True,
            rules=before.strictest(wanted) if loosens else wanted,
            coming=wanted if loosens else None,
            next_ms=now_ms + cooling_off_ms if loosens else 0,
        )


def first_policy(rules: Rulebook) -> Policy:
    """Return the policy that a service begins with until a person decides on one."""
    return Policy(id=EVERY_WALLET, revision=0, explicit=False, rules=rules)


def default_rules(
    *, usdt_contract: Address, caps: tuple[Caps, ...], fees_per_hour_sun: int, quorum: int
) -> Rulebook:
    """Return the document that a service begins with: every known pair, the one token, any recipient."""
    pairs = tuple(
        Pair(service=service, purpose=purpose, kinds=kinds)
        for (service, purpose), kinds in policy.ALLOWED.items()
    )
    return Rulebook(
        kinds=frozenset().union(*(pair.kinds for pair in pairs)) - policy.OPT_IN,
        tokens=frozenset({usdt_contract}),
        pairs=pairs,
        caps=caps,
        fees_per_hour_sun=fees_per_hour_sun,
        quorum=quorum,
    )


def _meaning(rules: Rulebook) -> tuple[object, ...]:
    """Return what a document says, whatever the order of its lines and without empty ones."""
    pairs = {(pair.service, pair.purpose): pair.kinds & rules.kinds for pair in rules.pairs}
    calls = {rule.contract: rule.selectors for rule in rules.free_calls()}
    caps: Mapping[Currency, Caps] = {one.currency: one for one in rules.caps}
    return (
        rules.kinds,
        rules.tokens,
        {pair: kinds for pair, kinds in pairs.items() if kinds},
        rules.destinations,
        {contract: selectors for contract, selectors in calls.items() if selectors},
        caps,
        rules.fees_per_hour_sun,
        rules.quorum,
    )


def _common(
    one: frozenset[Address] | None, other: frozenset[Address] | None
) -> frozenset[Address] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def _common_pairs(one: tuple[Pair, ...], other: tuple[Pair, ...]) -> tuple[Pair, ...]:
    known = {(pair.service, pair.purpose): pair.kinds for pair in other}
    return tuple(
        replace(pair, kinds=pair.kinds & known[pair.service, pair.purpose])
        for pair in one
        if (pair.service, pair.purpose) in known
    )


def _common_calls(
    one: tuple[ContractRule, ...], other: tuple[ContractRule, ...]
) -> tuple[ContractRule, ...]:
    known = {rule.contract: rule.selectors for rule in other}
    return tuple(
        replace(rule, selectors=rule.selectors & known[rule.contract])
        for rule in one
        if rule.contract in known
    )
