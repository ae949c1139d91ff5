"""Bearer tokens: minted with a private key, verified with a public one, closed by default.

The algorithm is bound to the issuer and the audience to the service (hazard H18): an Ed25519 key
that belongs to the operator or to one service, or, for payment-gateway and payout-router alone, the
shared secret of the Lucid gateway, whose tokens carry user roles and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from shared.access import (
    GATEWAY_TOKEN_DENIED,
    GATEWAY_TOKEN_SERVICES,
    ROLE_SCOPES,
    SERVICE_SCOPES,
    Role,
    Scope,
)
from shared.clock import MS_PER_S, Clock
from shared.errors import MissingScope, Unauthenticated

OPERATOR: Final = "lucid-operator"
"""Issuer of the tokens that the operator's key signs."""

GATEWAY: Final = "lucid-gateway"
"""Issuer assumed for tokens signed with the gateway's shared secret."""

EVERY_SERVICE: Final = "lucid-payments"
"""Audience of tokens that any of the six may accept."""

SERVICE_TOKEN_S: Final = 60
MIN_SHARED_SECRET_BYTES: Final = 32
MAX_TOKEN_CHARACTERS: Final = 4_096
MAX_VERIFIED: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a verified token speaks for.

    Attributes:
        subject: a person's or program's stable name, unique within its issuer.
        issuer: whose key signed.
        role: the role of a person, None for a service.
        scopes: what it may do here.
        service: the name of the calling service, None for a person.
    """

    subject: str
    issuer: str
    role: Role | None
    scopes: frozenset[Scope]
    service: str | None = None

    @property
    def name(self) -> str:
        """The stable name that identities and audit entries use."""
        return f"{self.issuer}/{self.subject}"

    def require(self, scope: Scope) -> None:
        """Raise MissingScope unless this principal has the scope."""
        if scope not in self.scopes:
            raise MissingScope(scope)


class ServiceIdentity:
    """A service's own key, which signs a fresh short token for each callee and scope."""

    def __init__(self, *, service: str, private_key: Ed25519PrivateKey, clock: Clock) -> None:
        self.service = service
        self._private_key = private_key
        self._clock = clock
        self._minted: dict[tuple[str, Scope], tuple[int, str]] = {}

    @classmethod
    def from_pem(cls, pem: bytes, *, service: str, clock: Clock) -> "ServiceIdentity":
        """Load the identity from PKCS#8 PEM."""
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("a service identity is an Ed25519 key")  # noqa: TRY004 - a bad value
        return cls(service=service, private_key=key, clock=clock)

    def __repr__(self) -> str:
        return f"ServiceIdentity({self.service})"

    def token(self, *, audience: str, scope: Scope) -> str:
        """Return a token of at most 60 s for one callee and one scope, reused for a third of that."""
        now_s = self._clock.now_ms() // MS_PER_S
        minted_s, token = self._minted.get((audience, scope), (0, ""))
        if token and 0 <= now_s - minted_s < SERVICE_TOKEN_S // 3:
            return token
        claims = {
            "iss": self.service,
            "sub": self.service,
            "aud": audience,
            "scope": scope.value,
            "iat": now_s,
            "exp": now_s + SERVICE_TOKEN_S,
        }
        token = jwt.encode(claims, self._private_key, algorithm="EdDSA")
        self._minted[audience, scope] = (now_s, token)
        return token


def mint_operator_token(
    private_key: Ed25519PrivateKey,
    *,
    subject: str,
    role: Role,
    now_s: int,
    lifetime_s: int,
    token_id: str,
    audience: str = EVERY_SERVICE,
) -> str:
    """Sign a person's token with the operator's key; ``token_id`` is what a revocation names."""
    claims = {
        "iss": OPERATOR,
        "sub": subject,
        "role": role.value,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + lifetime_s,
        "jti": token_id,
    }
    return jwt.encode(claims, private_key, algorithm="EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """Whose signatures a service believes.

    Attributes:
        public: public key by issuer: the operator and the six services.
        shared_secret: the gateway's HS256 secret, or None where the operator set none.
        revoked: ids of tokens that no longer count.
    """

    public: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    shared_secret: bytes | None = field(default=None, repr=False)
    revoked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.shared_secret is not None and len(self.shared_secret) < MIN_SHARED_SECRET_BYTES:
            raise ValueError("the shared secret must have at least 32 bytes")


def load_public_key(pem: bytes) -> Ed25519PublicKey:
    """Load an Ed25519 public key from PEM."""
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a trusted key is an Ed25519 public key")  # noqa: TRY004 - a bad value
    return key


class TokenVerifier:
    """Turns a bearer token into a Principal, or refuses it without saying much.

    A signature that verified once is not verified again by the same verifier, whose keys and
    revocations never change; the times are checked on every call.
    """

    def __init__(self, *, service: str, keys: TrustedKeys, clock: Clock, leeway_s: int) -> None:
        self._service = service
        self._keys = keys
        self._clock = clock
        self._leeway_s = leeway_s
        self._verified: dict[str, tuple[Principal, Mapping[str, Any]]] = {}

    def verify(self, token: str) -> Principal:
        """Check signature, issuer, audience, times and revocation.

        Raises:
            Unauthenticated: anything about the token is not right.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("the token is too long")
        if (known := self._verified.get(token)) is not None:
            principal, claims = known
            self._check_times(claims)
            return principal
        principal, claims = self._verify_new(token)
        if len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = (principal, claims)
        return principal

    def _verify_new(self, token: str) -> tuple[Principal, Mapping[str, Any]]:
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            match algorithm:
                case "EdDSA":
                    return self._verify_key_holder(token)
                case "HS256":
                    return self._verify_gateway(token)
                case _:
                    raise Unauthenticated("the token's algorithm is not accepted")
        except (jwt.PyJWTError, InvalidSignature, ValueError, TypeError):
            raise Unauthenticated("the token does not verify") from None

    def _verify_key_holder(self, token: str) -> tuple[Principal, Mapping[str, Any]]:
        claimed = jwt.decode(token, options={"verify_signature": False})
        issuer = claimed.get("iss")
        key = self._keys.public.get(issuer) if isinstance(issuer, str) else None
        if key is None or not isinstance(issuer, str):
            raise Unauthenticated("the token's issuer is not trusted here")
        claims = self._decode(token, key, "EdDSA")
        if not {self._service, EVERY_SERVICE} & _audiences(claims):
            raise Unauthenticated("the token is for another service")
        if issuer == OPERATOR:
            return self._person(claims, issuer=OPERATOR, denied=frozenset()), claims
        return self._sibling(claims, issuer), claims

    def _verify_gateway(self, token: str) -> tuple[Principal, Mapping[str, Any]]:
        secret = self._keys.shared_secret
        if secret is None or self._service not in GATEWAY_TOKEN_SERVICES:
            raise Unauthenticated("tokens with a shared secret are not accepted here")
        claims = self._decode(token, secret, "HS256")
        if claims.get("iss", GATEWAY) != GATEWAY:
            raise Unauthenticated("the token's issuer does not sign with a shared secret")
        audiences = _audiences(claims)
        if audiences and not {self._service, EVERY_SERVICE} & audiences:
            raise Unauthenticated("the token is for another service")
        return self._person(claims, issuer=GATEWAY, denied=GATEWAY_TOKEN_DENIED), claims

    def _decode(self, token: str, key: Ed25519PublicKey | bytes, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options={
                "require": ["sub", "exp", "iat"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
            },
        )
        self._check_times(claims)
        if claims.get("jti") in self._keys.revoked:
            raise Unauthenticated("the token was revoked")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now_s = self._clock.now_ms() // MS_PER_S
        issued, expires = claims["iat"], claims["exp"]
        if type(issued) is not int or type(expires) is not int:
            raise Unauthenticated("the token's times are not whole seconds")
        if expires + self._leeway_s <= now_s:
            raise Unauthenticated("the token has expired")
        if issued - self._leeway_s > now_s:
            raise Unauthenticated("the token is from the future")
        starts = claims.get("nbf", issued)
        if type(starts) is not int or starts - self._leeway_s > now_s:
            raise Unauthenticated("the token is not valid yet")

    def _person(
        self, claims: Mapping[str, Any], *, issuer: str, denied: frozenset[Scope]
    ) -> Principal:
        role = Role(str(claims.get("role")))
        scopes = ROLE_SCOPES[role] - denied
        if "scope" in claims:
            scopes &= frozenset(Scope(text) for text in str(claims["scope"]).split())
        return Principal(subject=_subject(claims), issuer=issuer, role=role, scopes=scopes)

    def _sibling(self, claims: Mapping[str, Any], issuer: str) -> Principal:
        if claims["sub"] != issuer or "role" in claims:
            raise Unauthenticated("a service speaks for itself alone")
        if claims["exp"] - claims["iat"] > SERVICE_TOKEN_S:
            raise Unauthenticated("a service token lives for at most a minute")
        asked = frozenset(Scope(text) for text in str(claims.get("scope", "")).split())
        scopes = asked & SERVICE_SCOPES.get(issuer, frozenset())
        return Principal(subject=issuer, issuer=issuer, role=None, scopes=scopes, service=issuer)


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    audience = claims.get("aud", [])
    named = [audience] if isinstance(audience, str) else audience
    return frozenset(str(name) for name in named)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():  # noqa: PLR2004
        raise Unauthenticated("the token names no subject")
    return subject
