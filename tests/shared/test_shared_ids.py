from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.ids import PREFIXES, fingerprint, identity, new_id, send_key, split_send_key

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
triples = st.tuples(st.text(), st.text(), st.text())


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
def test_an_id_carries_its_type_and_sorts_by_time(prefix: str) -> None:
    made = [new_id(prefix) for _ in range(100)]
    assert made == sorted(set(made))
    assert all(one.startswith(f"{prefix}_") and ":" not in one for one in made)


@pytest.mark.parametrize("prefix", ["", "usr", "po_", "PO"])
def test_an_unknown_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="unknown id prefix"):
        new_id(prefix)


@given(triples, triples)
def test_h3_two_triples_never_run_into_one_identity(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (identity(*one) == identity(*other)) == (one == other)


def test_h3_moving_a_border_gives_another_identity() -> None:
    parts = ("a", "ab", "abc", "bc", "c", "", '","', 'a","b')
    made = {identity(*triple) for triple in product(parts, repeat=3)}
    assert len(made) == len(parts) ** 3


def test_h3_an_identity_is_the_same_for_ever() -> None:
    assert identity("lucid-operator/ada", "payouts", "order-1") == (
        "fd4baefadf6e86808f14c85f46c375739c5e29a3c4e12282af6f4c139f5fbd5e"
    )


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_a_fingerprint_does_not_depend_on_the_order_of_members(body: dict[str, object]) -> None:
    turned = dict(reversed(body.items()))
    assert fingerprint({"body": body}) == fingerprint({"body": turned})


@given(json_values, json_values)
def test_other_bodies_have_other_fingerprints(one: object, other: object) -> None:
    assume(repr(one) != repr(other))
    same = fingerprint(one) == fingerprint(other)
    assert not same or one == other


def test_a_fingerprint_tells_lists_apart_by_order() -> None:
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint("1") != fingerprint(1)


@given(
    st.from_regex(r"[a-z-]+", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True),
    st.integers(min_value=0, max_value=10**9),
)
def test_a_send_key_can_be_taken_apart(origin: str, object_id: str, ordinal: int) -> None:
    assert split_send_key(send_key(origin, object_id, ordinal)) == (origin, object_id, ordinal)


@pytest.mark.parametrize(
    ("origin", "object_id", "ordinal"),
    [("a:b", "c", 0), ("a", "b:c", 0), ("a", "b", -1), ("", "b", 0), ("a", "", 0)],
)
def test_what_could_not_be_taken_apart_is_no_send_key(
    origin: str, object_id: str, ordinal: int
) -> None:
    with pytest.raises(ValueError, match="send key"):
        send_key(origin, object_id, ordinal)


@pytest.mark.parametrize(
    "key",
    ["", "a", "a:b", "a:b:", ":b:0", "a::0", "a:b:c", "a:b:00", "a:b:01", "a:b:-1", "a:b:0:0"],
)
def test_a_text_of_another_form_is_no_send_key(key: str) -> None:
    with pytest.raises(ValueError, match="send key"):
        split_send_key(key)


def test_digits_of_other_scripts_are_no_ordinal() -> None:
    with pytest.raises(ValueError, match="send key"):
        split_send_key("a:b:\u0661")
