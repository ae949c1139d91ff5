import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from shared.access import GATEWAY_TOKEN_DENIED, ROLE_SCOPES, SERVICE_SCOPES, Role, Scope
from shared.auth import (
    EVERY_SERVICE,
    GATEWAY,
    MAX_TOKEN_CHARACTERS,
    OPERATOR,
    Principal,
    ServiceIdentity,
    TokenVerifier,
    TrustedKeys,
    load_public_key,
    mint_operator_token,
)
from shared.clock import HeldClock
from shared.config import SERVICES
from shared.errors import MissingScope, Unauthenticated

NOW_S = 1_795_000_000
LEEWAY_S = 10
SECRET = b"the gateway's secret of 32 bytes or more"
KEYS = {name: Ed25519PrivateKey.generate() for name in (OPERATOR, *SERVICES)}
PUBLIC = {name: key.public_key() for name, key in KEYS.items()}
OPERATOR_PEM = PUBLIC[OPERATOR].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(NOW_S * 1_000)


def verifier(
    clock: HeldClock,
    service: str = "payout-router",
    secret: bytes | None = SECRET,
    revoked: frozenset[str] = frozenset(),
) -> TokenVerifier:
    keys = TrustedKeys(public=PUBLIC, shared_secret=secret, revoked=revoked)
    return TokenVerifier(service=service, keys=keys, clock=clock, leeway_s=LEEWAY_S)


def claims_of_a_person(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": OPERATOR,
        "sub": "ada",
        "role": "ADMIN",
        "aud": EVERY_SERVICE,
        "iat": NOW_S,
        "exp": NOW_S + 600,
        "jti": "token-1",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def claims_of_a_service(name: str = "payment-gateway", **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": name,
        "sub": name,
        "aud": "payout-router",
        "scope": "payouts:create",
        "iat": NOW_S,
        "exp": NOW_S + 60,
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def signed(claims: Mapping[str, Any], by: str = OPERATOR) -> str:
    return forged(claims, {"alg": "EdDSA", "typ": "JWT"}, KEYS[by].sign)


def from_the_gateway(claims: Mapping[str, Any], secret: bytes = SECRET) -> str:
    return forged(
        claims,
        {"alg": "HS256", "typ": "JWT"},
        lambda text: hmac.digest(secret, text, hashlib.sha256),
    )


def forged(claims: Any, header: Any, sign: Any) -> str:
    """Make a token as an attacker would: no library refuses to."""
    text = b".".join(_part(json.dumps(part).encode()) for part in (header, claims))
    return (text + b"." + _part(sign(text))).decode()


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        verifier.verify(token)
    return refusal.value.detail


def test_a_persons_token_gives_the_scopes_of_the_role(clock: HeldClock) -> None:
    token = mint_operator_token(
        KEYS[OPERATOR],
        subject="ada",
        role=Role.ADMIN,
        now_s=NOW_S,
        lifetime_s=60,
        token_id="token-1",
    )
    assert verifier(clock).verify(token) == Principal(
        subject="ada", issuer=OPERATOR, role=Role.ADMIN, scopes=ROLE_SCOPES[Role.ADMIN]
    )


def test_a_persons_token_may_ask_for_less_and_never_gets_more(clock: HeldClock) -> None:
    token = signed(claims_of_a_person(role="USER", scope="payouts:read wallets:admin"))
    principal = verifier(clock).verify(token)
    assert principal.scopes == {Scope.PAYOUTS_READ}
    with pytest.raises(MissingScope) as refusal:
        principal.require(Scope.WALLETS_ADMIN)
    assert refusal.value.facts == {"scope": "wallets:admin"}


def test_a_service_gets_the_scope_it_asked_for(clock: HeldClock) -> None:
    identity = ServiceIdentity(
        service="payment-gateway", private_key=KEYS["payment-gateway"], clock=clock
    )
    token = identity.token(audience="payout-router", scope=Scope.PAYOUTS_CREATE)
    principal = verifier(clock).verify(token)
    assert principal.service == principal.subject == principal.issuer == "payment-gateway"
    assert principal.scopes == {Scope.PAYOUTS_CREATE}
    assert principal.role is None
    assert "private" not in repr(identity).lower()


def test_h18_a_token_signed_with_a_public_key_as_its_secret_is_refused(clock: HeldClock) -> None:
    for pem in (OPERATOR_PEM, OPERATOR_PEM.strip(), PUBLIC[OPERATOR].public_bytes_raw()):
        token = from_the_gateway(claims_of_a_person(), secret=pem)
        refused(verifier(clock), token)
        refused(verifier(clock, secret=None), token)


@pytest.mark.parametrize("algorithm", ["none", "None", "", "NONE", None, 0, ["EdDSA"], {}])
def test_h18_an_unsigned_token_is_refused(clock: HeldClock, algorithm: object) -> None:
    header = {"alg": algorithm}
    refused(verifier(clock), forged(claims_of_a_person(), header, lambda _: b""))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "ES256", "ES256K", "hs256"])
def test_h18_another_algorithm_is_refused(clock: HeldClock, algorithm: str) -> None:
    header = {"alg": algorithm}
    refused(verifier(clock), forged(claims_of_a_person(), header, KEYS[OPERATOR].sign))


def test_h18_a_key_in_the_tokens_own_header_is_not_believed(clock: HeldClock) -> None:
    mine = Ed25519PrivateKey.generate()
    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _part(mine.public_key().public_bytes_raw()).decode(),
    }
    header = {"alg": "EdDSA", "jwk": jwk, "kid": OPERATOR, "x5u": "https://example.org/key"}
    refused(verifier(clock), forged(claims_of_a_person(), header, mine.sign))


@pytest.mark.parametrize("service", SERVICES)
def test_h18_a_service_cannot_speak_as_the_operator(clock: HeldClock, service: str) -> None:
    refused(verifier(clock), signed(claims_of_a_person(), by=service))


def test_h18_a_service_cannot_speak_as_another(clock: HeldClock) -> None:
    refused(verifier(clock), signed(claims_of_a_service("payment-gateway"), by="trx-staking"))


def test_h18_the_operator_cannot_make_a_services_token(clock: HeldClock) -> None:
    refused(verifier(clock), signed(claims_of_a_service("payment-gateway"), by=OPERATOR))


@pytest.mark.parametrize(
    "audience", ["wallet-manager", ["wallet-manager", "usdt-manager"], [], ...]
)
def test_h18_a_token_for_another_service_is_refused(clock: HeldClock, audience: object) -> None:
    told = refused(verifier(clock), signed(claims_of_a_person(aud=audience)))
    assert told == "the token is for another service"
    refused(verifier(clock), signed(claims_of_a_service(aud=audience), by="payment-gateway"))


@pytest.mark.parametrize("audience", [7, {"payout-router": 1}, [["payout-router"]], None])
def test_an_audience_of_another_shape_is_refused(clock: HeldClock, audience: object) -> None:
    if audience != {"payout-router": 1}:
        refused(verifier(clock), signed(claims_of_a_person(aud=audience)))


def test_one_of_several_audiences_is_enough(clock: HeldClock) -> None:
    token = signed(claims_of_a_person(aud=["wallet-manager", "payout-router"]))
    assert verifier(clock).verify(token).subject == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "SUPER_ADMIN"},
        {"sub": "trx-staking"},
        {"sub": "ada"},
        {"exp": NOW_S + 61},
        {"iat": NOW_S - 2},
        {"scope": "payouts:everything"},
        {"scope": ["payouts:create"]},
        {"iss": "payout"},
        {"iss": None},
        {"iss": ["payment-gateway"]},
        {"iss": GATEWAY},
    ],
)
def test_h18_a_service_token_of_another_form_is_refused(
    clock: HeldClock, changes: dict[str, Any]
) -> None:
    refused(verifier(clock), signed(claims_of_a_service(**changes), by="payment-gateway"))


@pytest.mark.parametrize("service", SERVICES)
def test_h18_a_service_never_gets_a_scope_beyond_its_row(clock: HeldClock, service: str) -> None:
    every_scope = " ".join(Scope)
    token = signed(claims_of_a_service(service, scope=every_scope), by=service)
    assert verifier(clock).verify(token).scopes == SERVICE_SCOPES[service]


@pytest.mark.parametrize("service", SERVICES)
def test_h18_a_shared_secret_counts_only_at_the_two_outer_services(
    clock: HeldClock, service: str
) -> None:
    token = from_the_gateway(claims_of_a_person(iss=..., aud=..., jti=...))
    if service in {"payment-gateway", "payout-router"}:
        principal = verifier(clock, service).verify(token)
        assert principal.issuer == GATEWAY
        assert principal.name == f"{GATEWAY}/ada"
    else:
        told = refused(verifier(clock, service), token)
        assert told == "tokens with a shared secret are not accepted here"


@pytest.mark.parametrize("role", Role)
def test_h18_a_shared_secret_never_carries_wallets_export_or_policy(
    clock: HeldClock, role: Role
) -> None:
    for scope in (..., " ".join(Scope)):
        claims = claims_of_a_person(iss=GATEWAY, role=role.value, scope=scope)
        principal = verifier(clock).verify(from_the_gateway(claims))
        assert principal.scopes == ROLE_SCOPES[role] - GATEWAY_TOKEN_DENIED
        assert principal.service is None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": OPERATOR},
        {"iss": "payment-gateway", "sub": "payment-gateway"},
        {"iss": "payment-gateway", "sub": "payment-gateway", "role": ...},
        {"iss": None},
        {"role": ...},
        {"role": "SERVICE"},
        {"aud": "wallet-manager"},
    ],
)
def test_h18_a_shared_secret_makes_no_other_identity(
    clock: HeldClock, changes: dict[str, object]
) -> None:
    claims = {**claims_of_a_person(iss=GATEWAY), **changes}
    told = {name: value for name, value in claims.items() if value is not ...}
    refused(verifier(clock), from_the_gateway(told))


def test_h18_another_secret_is_refused(clock: HeldClock) -> None:
    refused(verifier(clock), from_the_gateway(claims_of_a_person(iss=GATEWAY), b"x" * 40))
    refused(verifier(clock), from_the_gateway(claims_of_a_person(iss=GATEWAY), b""))


def test_the_subjects_of_two_issuers_are_two_principals(clock: HeldClock) -> None:
    mine = verifier(clock).verify(signed(claims_of_a_person()))
    theirs = verifier(clock).verify(from_the_gateway(claims_of_a_person(iss=GATEWAY)))
    assert mine.subject == theirs.subject
    assert mine.name != theirs.name


def test_a_token_lives_until_its_end_and_the_leeway(clock: HeldClock) -> None:
    token = signed(claims_of_a_person(exp=NOW_S + 60))
    clock.advance(seconds=60 + LEEWAY_S - 1)
    assert verifier(clock).verify(token).scopes
    clock.advance(seconds=1)
    assert refused(verifier(clock), token) == "the token has expired"


def test_a_token_that_was_admitted_once_still_ends_in_time(clock: HeldClock) -> None:
    gate, token = verifier(clock), signed(claims_of_a_person(exp=NOW_S + 60))
    assert gate.verify(token) == gate.verify(token)
    clock.advance(seconds=60 + LEEWAY_S)
    assert refused(gate, token) == "the token has expired"


def test_a_token_from_the_future_is_refused_beyond_the_leeway(clock: HeldClock) -> None:
    assert verifier(clock).verify(signed(claims_of_a_person(iat=NOW_S + LEEWAY_S))).scopes
    told = refused(verifier(clock), signed(claims_of_a_person(iat=NOW_S + LEEWAY_S + 1)))
    assert told == "the token is from the future"


def test_a_token_that_is_not_valid_yet_is_refused(clock: HeldClock) -> None:
    token = signed(claims_of_a_person(nbf=NOW_S + LEEWAY_S + 1))
    assert refused(verifier(clock), token) == "the token is not valid yet"
    clock.advance(seconds=1)
    assert verifier(clock).verify(token).scopes


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [1.5e9, "1795000000", True, None, [], 1e400, float("nan")])
def test_times_that_are_no_whole_seconds_are_refused(
    clock: HeldClock, name: str, value: object
) -> None:
    refused(verifier(clock), signed(claims_of_a_person(**{name: value})))


@pytest.mark.parametrize("name", ["sub", "exp", "iat", "iss", "role", "aud"])
def test_a_token_without_what_is_needed_is_refused(clock: HeldClock, name: str) -> None:
    refused(verifier(clock), signed(claims_of_a_person(**{name: ...})))


@pytest.mark.parametrize("subject", ["", "x" * 256, 7, None, ["ada"], "ada\n", "a\x00da", "\ud800"])
def test_a_subject_that_names_nobody_is_refused(clock: HeldClock, subject: object) -> None:
    refused(verifier(clock), signed(claims_of_a_person(sub=subject)))


@pytest.mark.parametrize("role", ["", "admin", "ROOT", None, 3, ["ADMIN"]])
def test_an_unknown_role_is_refused(clock: HeldClock, role: object) -> None:
    refused(verifier(clock), signed(claims_of_a_person(role=role)))


def test_a_revoked_token_is_refused(clock: HeldClock) -> None:
    revoking = verifier(clock, revoked=frozenset({"token-1"}))
    assert refused(revoking, signed(claims_of_a_person())) == "the token was revoked"
    assert revoking.verify(signed(claims_of_a_person(jti="token-2"))).scopes
    told = refused(revoking, from_the_gateway(claims_of_a_person(iss=GATEWAY)))
    assert told == "the token was revoked"


@pytest.mark.parametrize("token_id", [["token-1"], {"a": 1}])
def test_an_id_that_cannot_be_looked_up_is_refused(clock: HeldClock, token_id: object) -> None:
    refused(verifier(clock), signed(claims_of_a_person(jti=token_id)))


def test_a_token_with_a_changed_claim_is_refused(clock: HeldClock) -> None:
    head, _, signature = signed(claims_of_a_person(role="USER")).split(".")
    body = _part(json.dumps(claims_of_a_person(role="SUPER_ADMIN")).encode()).decode()
    refused(verifier(clock), f"{head}.{body}.{signature}")


def test_a_token_beyond_the_length_limit_is_refused_unread(clock: HeldClock) -> None:
    token = signed(claims_of_a_person(filler="x" * MAX_TOKEN_CHARACTERS))
    assert refused(verifier(clock), token) == "the token is too long"


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{0,40}"))
def test_garbage_is_refused_without_another_error(token: str) -> None:
    refused(verifier(HeldClock(NOW_S * 1_000)), token)


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_claims_of_any_shape_are_refused_without_another_error(claims: object) -> None:
    for token in (
        forged(claims, {"alg": "EdDSA"}, KEYS[OPERATOR].sign),
        forged(claims, {"alg": "HS256"}, lambda text: hmac.digest(SECRET, text, "sha256")),
        forged({}, claims, lambda _: b""),
    ):
        refused(verifier(HeldClock(NOW_S * 1_000)), token)


def test_a_deeply_nested_token_is_refused_without_another_error(clock: HeldClock) -> None:
    deep = b'{"iss":' + b"[" * 1_400 + b"]" * 1_400 + b"}"
    token = b".".join((_part(b'{"alg":"EdDSA"}'), _part(deep), b"AA")).decode()
    refused(verifier(clock), token)


def test_without_any_key_nothing_verifies(clock: HeldClock) -> None:
    closed = TokenVerifier(
        service="payout-router", keys=TrustedKeys(), clock=clock, leeway_s=LEEWAY_S
    )
    refused(closed, signed(claims_of_a_person()))
    refused(closed, from_the_gateway(claims_of_a_person(iss=GATEWAY), b""))


def test_a_short_shared_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        TrustedKeys(shared_secret=b"short")


def test_trusted_keys_do_not_show_their_secret() -> None:
    assert SECRET.decode() not in repr(TrustedKeys(public=PUBLIC, shared_secret=SECRET))


def test_only_ed25519_keys_are_loaded(clock: HeldClock) -> None:
    other = new_ec_key(SECP256R1())
    with pytest.raises(ValueError, match="Ed25519"):
        load_public_key(
            other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="Ed25519"):
        ServiceIdentity.from_pem(pem, service="usdt-manager", clock=clock)


def test_a_service_reuses_a_token_for_a_third_of_its_life(clock: HeldClock) -> None:
    identity = ServiceIdentity(
        service="usdt-manager", private_key=KEYS["usdt-manager"], clock=clock
    )

    def token(audience: str = "wallet-manager", scope: Scope = Scope.WALLETS_SEND) -> str:
        return identity.token(audience=audience, scope=scope)

    first = token()
    clock.advance(seconds=19)
    assert token() == first
    clock.advance(seconds=1)
    second = token()
    assert second != first
    claims = jwt.decode(second, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
    assert len({second, token(audience="tron-client"), token(scope=Scope.WALLETS_READ)}) == 3


def test_a_service_whose_clock_went_back_signs_anew(clock: HeldClock) -> None:
    identity = ServiceIdentity(
        service="usdt-manager", private_key=KEYS["usdt-manager"], clock=clock
    )
    first = identity.token(audience="wallet-manager", scope=Scope.WALLETS_SEND)
    clock.advance(seconds=-120)
    again = identity.token(audience="wallet-manager", scope=Scope.WALLETS_SEND)
    assert again != first
    assert verifier(clock, "wallet-manager").verify(again).scopes
