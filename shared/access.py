"""Who may do what: scopes, roles and service identities, as data.

The tables here are printed in the documentation and walked by tests. A scope that no table grants
cannot be had.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """A right that a route asks for."""

    PAYOUTS_CREATE = "payouts:create"
    PAYOUTS_READ = "payouts:read"
    PAYOUTS_APPROVE = "payouts:approve"
    PAYOUTS_ADMIN = "payouts:admin"
    PAYMENTS_CREATE = "payments:create"
    PAYMENTS_READ = "payments:read"
    INVOICES_CREATE = "invoices:create"
    INVOICES_READ = "invoices:read"
    REFUNDS_CREATE = "refunds:create"
    REFUNDS_APPROVE = "refunds:approve"
    WALLETS_CREATE = "wallets:create"
    WALLETS_READ = "wallets:read"
    WALLETS_SEND = "wallets:send"
    WALLETS_EXPORT = "wallets:export"
    WALLETS_ADMIN = "wallets:admin"
    USDT_READ = "usdt:read"
    USDT_SEND = "usdt:send"
    STAKING_READ = "staking:read"
    STAKING_MANAGE = "staking:manage"
    STAKING_LEND = "staking:lend"
    CHAIN_READ = "chain:read"
    CHAIN_WATCH = "chain:watch"
    CHAIN_SUBMIT = "chain:submit"
    OPS_READ = "ops:read"
    OPS_ADMIN = "ops:admin"


class Role(StrEnum):
    """What a person or a program is to the operator."""

    USER = "USER"
    NODE_OPERATOR = "NODE_OPERATOR"
    ADMIN = "ADMIN"
    SUPER_ADMIN = "SUPER_ADMIN"


_READS: Final = frozenset(
    {
        Scope.PAYOUTS_READ,
        Scope.PAYMENTS_READ,
        Scope.INVOICES_READ,
        Scope.WALLETS_READ,
        Scope.USDT_READ,
        Scope.STAKING_READ,
        Scope.CHAIN_READ,
        Scope.OPS_READ,
    }
)
_CREATES: Final = frozenset(
    {
        Scope.PAYOUTS_CREATE,
        Scope.PAYMENTS_CREATE,
        Scope.INVOICES_CREATE,
        Scope.REFUNDS_CREATE,
        Scope.WALLETS_CREATE,
    }
)

ROLE_SCOPES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.USER: frozenset(
        {
            Scope.PAYOUTS_CREATE,
            Scope.PAYOUTS_READ,
            Scope.PAYMENTS_CREATE,
            Scope.PAYMENTS_READ,
            Scope.INVOICES_READ,
        }
    ),
    Role.NODE_OPERATOR: frozenset(
        {
            Scope.PAYOUTS_CREATE,
            Scope.PAYOUTS_READ,
            Scope.PAYMENTS_READ,
            Scope.INVOICES_READ,
            Scope.CHAIN_READ,
        }
    ),
    Role.ADMIN: _READS | _CREATES | {Scope.PAYOUTS_APPROVE, Scope.STAKING_MANAGE},
    Role.SUPER_ADMIN: frozenset(Scope) - {Scope.WALLETS_SEND, Scope.USDT_SEND, Scope.CHAIN_SUBMIT},
}
"""What each role may do. Sending and submitting belong to services alone: people go through payouts."""

GATEWAY_TOKEN_DENIED: Final = frozenset(
    {
        Scope.WALLETS_CREATE,
        Scope.WALLETS_SEND,
        Scope.WALLETS_EXPORT,
        Scope.WALLETS_ADMIN,
        Scope.USDT_SEND,
        Scope.CHAIN_SUBMIT,
        Scope.CHAIN_WATCH,
        Scope.STAKING_LEND,
        Scope.PAYOUTS_ADMIN,
        Scope.OPS_ADMIN,
    }
)
"""What a token signed with the gateway's shared secret can never carry (hazard H18)."""

SERVICE_SCOPES: Final[Mapping[str, frozenset[Scope]]] = {
    "tron-client": frozenset(),
    "wallet-manager": frozenset({Scope.CHAIN_READ, Scope.CHAIN_WATCH, Scope.CHAIN_SUBMIT}),
    "usdt-manager": frozenset({Scope.CHAIN_READ, Scope.WALLETS_READ, Scope.WALLETS_SEND}),
    "trx-staking": frozenset({Scope.CHAIN_READ, Scope.WALLETS_READ, Scope.WALLETS_SEND}),
    "payout-router": frozenset(
        {
            Scope.CHAIN_READ,
            Scope.WALLETS_READ,
            Scope.WALLETS_SEND,
            Scope.USDT_READ,
            Scope.USDT_SEND,
            Scope.STAKING_READ,
        }
    ),
    "payment-gateway": frozenset(
        {
            Scope.CHAIN_READ,
            Scope.WALLETS_READ,
            Scope.WALLETS_CREATE,
            Scope.WALLETS_SEND,
            Scope.USDT_READ,
            Scope.USDT_SEND,
            Scope.STAKING_READ,
            Scope.PAYOUTS_CREATE,
            Scope.PAYOUTS_READ,
        }
    ),
}
"""The most that a service may ask of the others with its own identity."""

GATEWAY_TOKEN_SERVICES: Final = frozenset({"payment-gateway", "payout-router"})
"""The only services that accept tokens signed with the gateway's shared secret (hazard H18)."""

OPEN_PATHS: Final = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/ready",
        "/metrics",
        "/info",
        "/status",
        "/stats",
    }
)
"""What every service answers without a token, tersely."""
