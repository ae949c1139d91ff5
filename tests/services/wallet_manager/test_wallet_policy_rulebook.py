"""The policy document: what is looser cools off, what is stricter holds at once."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet_manager.domain.caps import CapRule, standing_breach
from services.wallet_manager.domain.policy import ALLOWED, OPT_IN
from services.wallet_manager.domain.rulebook import (
    Caps,
    ContractRule,
    InvalidPolicy,
    Pair,
    Rulebook,
    default_rules,
    first_policy,
)
from services.wallet_manager.domain.sends import Send
from shared.config import SERVICES
from shared.models.wallet_sends import Purpose, SendKind
from shared.money import Currency
from shared.tron.address import Address
from tests.services.wallet_manager.till import CUSTOMER, STRANGER, USDT

AMOUNTS = st.integers(0, 5)
KINDS = st.frozensets(st.sampled_from(list(SendKind)))
ADDRESSES = st.frozensets(st.sampled_from([CUSTOMER, STRANGER, USDT]))


@st.composite
def rulebooks(draw: st.DrawFn) -> Rulebook:
    currencies = draw(st.sets(st.sampled_from(list(Currency))))
    purposes = draw(st.sets(st.sampled_from(list(Purpose)), max_size=2))
    return Rulebook(
        kinds=draw(KINDS),
        tokens=draw(ADDRESSES),
        pairs=tuple(
            Pair(service="payout-router", purpose=one, kinds=draw(KINDS))
            for one in sorted(purposes)
        ),
        destinations=draw(st.none() | ADDRESSES),
        calls=tuple(
            ContractRule(contract=one, selectors=draw(st.frozensets(st.sampled_from(["aa", "bb"]))))
            for one in sorted(draw(ADDRESSES))
        ),
        caps=tuple(
            Caps(
                currency=one,
                per_send=draw(AMOUNTS),
                per_hour=draw(AMOUNTS),
                per_day=draw(AMOUNTS),
                per_destination=draw(AMOUNTS),
                unproved_per_day=draw(AMOUNTS),
                agreed_above=draw(AMOUNTS),
            )
            for one in sorted(currencies)
        ),
        fees_per_hour_sun=draw(AMOUNTS),
        quorum=draw(st.integers(1, 3)),
    )


@given(rulebooks(), rulebooks())
def test_the_strictest_of_two_documents_allows_no_more_than_either(
    one: Rulebook, other: Rulebook
) -> None:
    both = one.strictest(other)
    assert both.allows_no_more_than(one)
    assert both.allows_no_more_than(other)
    assert both.strictest(one).allows_no_more_than(both)
    assert both.allows_no_more_than(both.strictest(other))
    assert one.allows_no_more_than(one)


@given(rulebooks(), rulebooks())
def test_what_allows_no_more_calls_no_function_that_was_not_called_before(
    one: Rulebook, other: Rulebook
) -> None:
    """A token is never called freely, so that taking it off the list of tokens may allow more."""
    both = one.strictest(other)
    for contract, selector in itertools.product((CUSTOMER, STRANGER, USDT), ("aa", "bb")):
        call = a_call(contract, selector)
        calls = [may_call(call, replace(rules, kinds=CALLS, pairs=CARE)) for rules in (one, other)]
        assert all(calls) or not may_call(call, replace(both, kinds=CALLS, pairs=CARE))


@given(rulebooks(), st.lists(st.tuples(rulebooks(), st.integers(0, 30)), max_size=6))
def test_whatever_is_changed_nothing_looser_holds_before_its_cooling_off(
    first: Rulebook, changes: list[tuple[Rulebook, int]]
) -> None:
    policy, now_ms = first_policy(first), 0
    for wanted, passed_ms in changes:
        now_ms += passed_ms
        before = policy.at(now_ms)
        policy = policy.changed(wanted, now_ms=now_ms, cooling_off_ms=10)
        assert policy.at(now_ms).allows_no_more_than(before)
        assert policy.at(now_ms).allows_no_more_than(wanted)
        assert policy.at(now_ms + 9).allows_no_more_than(before)
        assert policy.at(now_ms + 10).allows_no_more_than(wanted)
        assert wanted.allows_no_more_than(policy.at(now_ms + 10))
    assert policy.revision == len(changes)


def test_a_document_that_contradicts_itself_is_refused() -> None:
    good = first_policy(
        default_rules(usdt_contract=USDT, caps=(), fees_per_hour_sun=1, quorum=1)
    ).rules
    caps = Caps(
        currency=Currency.TRX,
        per_send=1,
        per_hour=1,
        per_day=1,
        per_destination=1,
        unproved_per_day=1,
        agreed_above=1,
    )
    rule = ContractRule(contract=USDT, selectors=frozenset())
    for changes in (
        {"caps": (caps, caps)},
        {"caps": (replace(caps, per_day=-1),)},
        {"fees_per_hour_sun": -1},
        {"pairs": good.pairs + good.pairs[:1]},
        {"calls": (rule, rule)},
        {"quorum": 0},
    ):
        fields: dict[str, Any] = dict(changes)
        with pytest.raises(InvalidPolicy):
            replace(good, **fields)


def test_the_first_document_knows_every_pair_and_no_other() -> None:
    rules = default_rules(usdt_contract=USDT, caps=(), fees_per_hour_sun=1, quorum=1)
    for service, purpose in itertools.product(SERVICES, Purpose):
        known = ALLOWED.get((service, purpose), frozenset())
        assert rules.kinds_for(service, purpose) == known - OPT_IN


def a_call(contract: Address, data: str) -> Send:
    return Send(
        id="snd_1",
        send_key="payout-router:one:0",
        origin_service="payout-router",
        origin_principal="ada",
        purpose=Purpose.MAINTENANCE,
        wallet_id="wal_1",
        owner=CUSTOMER,
        kind=SendKind.CONTRACT_CALL,
        recipient=None,
        contract=contract,
        amount=0,
        resource=None,
        max_fee_sun=1,
        not_after_ms=1,
        due_ms=1,
        details=json.dumps({"data": data}),
        created_at_ms=1,
        updated_at_ms=1,
    )


CALLS = frozenset({SendKind.CONTRACT_CALL})
CARE = (Pair(service="payout-router", purpose=Purpose.MAINTENANCE, kinds=CALLS),)


def may_call(call: Send, rules: Rulebook) -> bool:
    return standing_breach(call, rules) is None


LISTED = replace(
    default_rules(usdt_contract=USDT, caps=(), fees_per_hour_sun=1, quorum=1),
    kinds=frozenset({SendKind.CONTRACT_CALL}),
    calls=tuple(
        ContractRule(contract=one, selectors=frozenset({"aabbccdd", "a9059cbb"}))
        for one in (STRANGER, USDT)
    ),
)


def test_h14_a_token_taken_off_the_list_is_not_called_before_the_cooling_off() -> None:
    policy = first_policy(LISTED)
    call = a_call(USDT, "a9059cbb" + "00" * 64)
    changed = policy.changed(
        replace(LISTED, tokens=frozenset()), now_ms=1_000, cooling_off_ms=10_000
    )
    assert not may_call(call, changed.at(1_000))
    assert not may_call(call, changed.at(10_999))
    assert may_call(call, changed.at(11_000))


def test_a_listed_function_of_a_contract_may_be_called() -> None:
    assert standing_breach(a_call(STRANGER, "aabbccdd" + "00" * 32), LISTED) is None


@pytest.mark.parametrize(
    ("contract", "data"),
    [
        (STRANGER, "aabbccde"),
        (STRANGER, ""),
        (CUSTOMER, "aabbccdd"),
        (USDT, "a9059cbb" + "00" * 64),
    ],
)
def test_free_calls_go_to_no_other_function_and_never_to_a_token(
    contract: Address, data: str
) -> None:
    breach = standing_breach(a_call(contract, data), LISTED)
    assert breach is not None
    assert breach.rule is CapRule.CALL
