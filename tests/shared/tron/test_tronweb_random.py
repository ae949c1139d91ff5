"""tronweb and `shared.tron` asked for the same at random: one of them would have to share the mistake."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.tron.address import InvalidAddress, address_from_bytes, parse_address
from shared.tron.hd import PrivateNode, phrase_from_entropy, seed_from_phrase
from shared.tron.signing import SigningKey, message_digest, recover_address
from shared.tron.transaction import MAX_LIFETIME_MS, txid
from tests.devnet.clients.tronweb import ComplaintError, TronWeb, needs_tronweb
from tests.devnet.clients.vectors import VECTORS, read, rebuilt
from tests.devnet.clients.wanted import TRANSFER, raw_data_of

pytestmark = [pytest.mark.clients, needs_tronweb]

EXAMPLES = 300
LARGEST_NUMBER = 2**53 - 1
"""Beyond it JavaScript rounds, and tronweb with it."""

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

often = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
addresses = st.binary(min_size=20, max_size=20).filter(any).map(address_from_bytes)
amounts = st.integers(1, LARGEST_NUMBER)
resources = st.sampled_from(["BANDWIDTH", "ENERGY"])
secrets = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))


@pytest.fixture(scope="module")
def tronweb() -> Iterator[TronWeb]:
    with TronWeb() as tronweb:
        yield tronweb


@st.composite
def headers(draw: st.DrawFn) -> dict[str, Any]:
    timestamp_ms = draw(st.integers(10**12, 10**13 - 1 - MAX_LIFETIME_MS))
    return {
        "ref_block_bytes": draw(st.binary(min_size=2, max_size=2)).hex(),
        "ref_block_hash": draw(st.binary(min_size=8, max_size=8)).hex(),
        "timestamp": timestamp_ms,
        "expiration": timestamp_ms + draw(st.integers(1, MAX_LIFETIME_MS)),
    }


@st.composite
def wanted(draw: st.DrawFn) -> dict[str, Any]:
    owner, to, contract = draw(st.lists(addresses, min_size=3, max_size=3, unique=True))
    transfer = {"owner_address": owner, "to_address": to, "amount": draw(amounts)}
    call = {
        "owner_address": owner,
        "contract_address": contract,
        "function_selector": TRANSFER,
        "parameters": [
            {"type": "address", "value": to},
            {"type": "uint256", "value": str(draw(st.integers(1, 2**63 - 1)))},
        ],
    }
    stake = {"owner_address": owner, "resource": draw(resources)}
    frozen = stake | {"frozen_balance": draw(st.integers(1_000_000, LARGEST_NUMBER))}
    unfrozen = stake | {"unfreeze_balance": draw(amounts)}
    kind, fields = draw(
        st.sampled_from(
            [
                ("TransferContract", transfer),
                ("TriggerSmartContract", call),
                ("FreezeBalanceV2Contract", frozen),
                ("UnfreezeBalanceV2Contract", unfrozen),
            ]
        )
    )
    one: dict[str, Any] = {"kind": kind, "fields": fields, "header": draw(headers())}
    if kind == "TriggerSmartContract":
        one["fee_limit"] = draw(amounts)
    return one


@often
@given(one=wanted())
def test_any_transaction_is_the_same_to_the_byte(tronweb: TronWeb, one: dict[str, Any]) -> None:
    built = raw_data_of(one)
    theirs = tronweb.ask("build", wanted=one)
    assert theirs["raw_data_hex"] == built.hex()
    assert theirs["txid"] == txid(built)


@settings(often, max_examples=EXAMPLES // 3)
@given(one=wanted(), secret=secrets)
def test_any_transaction_is_signed_the_same(
    tronweb: TronWeb, one: dict[str, Any], secret: bytes
) -> None:
    key = SigningKey(secret)
    if key.address in one["fields"].values():
        return
    one["fields"]["owner_address"] = key.address
    ours = key.sign(bytes.fromhex(txid(raw_data_of(one))))
    assert bytes.fromhex(tronweb.ask("sign", wanted=one, key=secret.hex())) == ours


@settings(often, max_examples=EXAMPLES // 3)
@given(message=st.binary(max_size=300), secret=secrets)
def test_any_message_is_signed_the_same(tronweb: TronWeb, message: bytes, secret: bytes) -> None:
    key = SigningKey(secret)
    signature = key.sign(message_digest(message))
    theirs = tronweb.ask("sign_message", message=message.hex(), key=secret.hex())
    assert bytes.fromhex(theirs.removeprefix("0x")) == signature
    signer = tronweb.ask(
        "signer_of_message", message=message.hex(), signature="0x" + signature.hex()
    )
    assert signer == key.address == recover_address(message_digest(message), signature)


@settings(often, max_examples=EXAMPLES // 3)
@given(address=addresses, place=st.integers(0, 33), letter=st.sampled_from(BASE58))
def test_an_address_with_one_letter_changed_is_judged_the_same(
    tronweb: TronWeb, address: str, place: int, letter: str
) -> None:
    text = address[:place] + letter + address[place + 1 :]
    try:
        parse_address(text)
    except InvalidAddress:
        ours = False
    else:
        ours = True
    assert tronweb.ask("is_address", text=text) is ours
    assert ours is (text == address)


@settings(often, max_examples=10)
@given(entropy=st.sampled_from([16, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_a_phrase_leads_to_the_same_addresses(tronweb: TronWeb, entropy: bytes) -> None:
    phrase = phrase_from_entropy(entropy)
    account = PrivateNode.from_seed(seed_from_phrase(phrase)).account(coin_type=195, account=0)
    for index in range(3):
        ours = account.derive(0, index).signing_key().address
        path = f"m/44'/195'/0'/0/{index}"
        assert tronweb.ask("address_of_phrase", phrase=phrase, path=path) == ours


def test_the_committed_vectors_are_what_tronweb_builds(tronweb: TronWeb) -> None:
    vectors = read(VECTORS)
    assert [rebuilt(vector, tronweb) for vector in vectors] == vectors


def test_an_error_of_tronweb_is_heard(tronweb: TronWeb) -> None:
    one = {"kind": "TransferContract", "fields": {"owner_address": "nobody"}, "header": {}}
    with pytest.raises(ComplaintError, match="recipient"):
        tronweb.ask("build", wanted=one)
