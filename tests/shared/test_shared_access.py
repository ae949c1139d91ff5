from itertools import product

import pytest

from shared.access import (
    GATEWAY_TOKEN_DENIED,
    GATEWAY_TOKEN_SERVICES,
    OPEN_PATHS,
    ROLE_SCOPES,
    SERVICE_SCOPES,
    Role,
    Scope,
)
from shared.config import SERVICES

SERVICES_ALONE = {Scope.WALLETS_SEND, Scope.USDT_SEND, Scope.CHAIN_SUBMIT}


def test_a_user_never_has_a_wallets_scope() -> None:
    assert not {scope for scope in ROLE_SCOPES[Role.USER] if scope.startswith("wallets:")}


@pytest.mark.parametrize(("role", "scope"), list(product(Role, sorted(SERVICES_ALONE))))
def test_no_person_sends_or_submits(role: Role, scope: Scope) -> None:
    assert scope not in ROLE_SCOPES[role]


def test_every_role_and_every_service_has_its_row() -> None:
    assert set(ROLE_SCOPES) == set(Role)
    assert set(SERVICE_SCOPES) == set(SERVICES)


def test_every_scope_is_granted_to_somebody() -> None:
    granted = frozenset[Scope]().union(*ROLE_SCOPES.values(), *SERVICE_SCOPES.values())
    assert granted == set(Scope)


def test_only_wallet_manager_submits_and_watches() -> None:
    for scope in (Scope.CHAIN_SUBMIT, Scope.CHAIN_WATCH):
        assert [name for name, held in SERVICE_SCOPES.items() if scope in held] == [
            "wallet-manager"
        ]


def test_no_service_may_approve_administer_export_or_lend() -> None:
    people = {
        scope
        for scope in Scope
        if scope.endswith((":approve", ":admin", ":export", ":lend", ":manage"))
    }
    assert not [name for name, held in SERVICE_SCOPES.items() if held & people]


def test_each_role_may_do_at_least_what_the_one_below_may() -> None:
    assert ROLE_SCOPES[Role.USER] <= ROLE_SCOPES[Role.ADMIN] <= ROLE_SCOPES[Role.SUPER_ADMIN]
    assert ROLE_SCOPES[Role.NODE_OPERATOR] <= ROLE_SCOPES[Role.ADMIN]


def test_policy_export_and_administration_are_the_super_admins() -> None:
    mine = {Scope.PAYOUTS_ADMIN, Scope.WALLETS_EXPORT, Scope.WALLETS_ADMIN, Scope.OPS_ADMIN}
    holders = {role for role, held in ROLE_SCOPES.items() if held & mine}
    assert holders == {Role.SUPER_ADMIN}


def test_h18_the_shared_secret_never_carries_wallets_export_or_policy() -> None:
    writing = {
        scope for scope in Scope if scope.startswith("wallets:") and scope is not Scope.WALLETS_READ
    }
    policy = {scope for scope in Scope if scope.endswith(":admin")}
    assert writing | policy <= GATEWAY_TOKEN_DENIED
    assert {"payment-gateway", "payout-router"} == GATEWAY_TOKEN_SERVICES


def test_the_open_list_is_the_probes_and_nothing_else() -> None:
    assert {
        "/health",
        "/health/live",
        "/health/ready",
        "/ready",
        "/metrics",
        "/info",
        "/status",
        "/stats",
    } == OPEN_PATHS
