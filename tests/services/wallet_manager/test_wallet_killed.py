"""The real process is killed with -9 at steps of the engine; the chain then holds each intent once or never."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.demo import Caller
from services.init import Layout
from services.run import prepare
from services.stack import DEVNET, TREE, Stack, free_ports
from services.wallet_manager.settings import Settings
from shared.access import Scope
from shared.auth import ServiceIdentity
from shared.clock import HeldClock
from shared.config import process_environment
from shared.models.wallet_sends import FINAL_SEND_STATES, Intent, SendKind, SendState
from shared.tron.networks import Network
from tests.services.wallet_manager.till import TRX, intent
from tests.system.chain import ChainReader
from tests.system.waiting import wait_until

pytestmark = pytest.mark.system

WALLET_MANAGER, TRON_CLIENT, ORIGIN = "wallet-manager", "tron-client", "payout-router"
DEATHS = int(process_environment().get("DEATHS", "12"))
INTENTS_A_LIFE = 3
LAST_STEP = 16
"""Steps after the first intent in which three of them are accepted, signed, submitted and followed."""

FAULTS = ("drop_transaction", "reply_lost", None)
SPEED = 20.0
DIES_S = 20
ENDS_S = 180


class Site:
    """A devnet, a tron-client that lives, and a wallet-manager that is killed again and again."""

    def __init__(self, stack: Stack, caller: Caller, chain: ChainReader) -> None:
        self.stack = stack
        self.caller = caller
        self.chain = chain
        path = Layout.of(_settings(stack)).secrets / ORIGIN / "identity.pem"
        self._identity = path.read_bytes()
        self.wallet: dict[str, Any] = {}

    def begin(self) -> None:
        """Make the wallet that pays, with money."""
        body = {"user_id": "operator", "role": "treasury"}
        self.wallet = self.caller.post(WALLET_MANAGER, "/api/v1/wallets", body, key="treasury")
        funds = {"address": self.wallet["address"], "trx": "50000", "usdt": "50000"}
        self.caller.devnet("/devnet/faucet", funds)
        wait_until(lambda: min(self.booked().values()) > 0, "the wallet is funded")

    def booked(self) -> dict[str, int]:
        return {currency: self._balance(currency, "balance") for currency in ("TRX", "USDT")}

    def held(self) -> int:
        return sum(self._balance(currency, "held") for currency in ("TRX", "USDT"))

    def _balance(self, currency: str, what: str) -> int:
        path = f"/api/v1/wallets/{self.wallet['address']}/balance"
        return int(self.caller.get(WALLET_MANAGER, path, currency=currency)[f"{what}_base_units"])

    def ask(self, intents: list[Intent]) -> None:
        """Hand intents over as payout-router does; raises HTTPError, maybe after they were taken."""
        clock = HeldClock(self.caller.devnet("/devnet/clock")["now_ms"])
        identity = ServiceIdentity.from_pem(self._identity, service=ORIGIN, clock=clock)
        token = identity.token(audience=WALLET_MANAGER, scope=Scope.WALLETS_SEND)
        answer = httpx.post(
            f"{self.stack.url(WALLET_MANAGER)}/api/v1/sends",
            json={"intents": [one.model_dump(mode="json", exclude_none=True) for one in intents]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )
        answer.raise_for_status()
        assert all(one["problem"] is None for one in answer.json()["results"]), answer.text

    def sends(self, intents: list[Intent]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(intents), 50):
            keys = [one.send_key for one in intents[start : start + 50]]
            body = {"send_keys": keys, "txids": []}
            told = self.caller.post(WALLET_MANAGER, "/api/v1/sends/lookup", body, key="lookup")
            found |= {one["send_key"]: one for one in told["sends"]}
        return found

    def all_ended(self, intents: list[Intent]) -> bool:
        """True when each has its final answer; says of the others what they wait for."""
        open_ = {
            key: f"{one['state']}: {one['waiting_for']}"
            for key, one in self.sends(intents).items()
            if one["state"] not in FINAL_SEND_STATES
        }
        assert not open_, open_
        return True

    def dies(self, doom: str, intents: list[Intent]) -> int:
        """Live one life that ends at a step; returns how it ended."""
        log = self.stack.log_path("doomed").open("ab")
        with (
            log,
            subprocess.Popen(
                [sys.executable, "-m", "tests.services.wallet_manager.doomed"],
                cwd=TREE,
                env={**self.stack.environment(), "DOOM": doom},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as life,
        ):
            try:
                self._ask_until_it_is_gone(life, intents)
                return life.wait(timeout=DIES_S)
            except subprocess.TimeoutExpired:
                return 0  # it did not come that far
            finally:
                life.kill()

    def _ask_until_it_is_gone(self, life: "subprocess.Popen[bytes]", intents: list[Intent]) -> None:
        def taken() -> bool:
            if life.poll() is None:
                self.ask(intents)
            return True

        wait_until(taken, "the intents are taken on, or it died of them")


def _settings(stack: Stack) -> Settings:
    return Settings(tron_network=Network.DEVNET, data_dir=stack.data_dir)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    extra = {"SEND_LIFETIME_S": "60", "SEND_RETRY_INTERVAL_S": "1"}
    with Stack(data_dir=tmp_path, ports=free_ports(), speed=SPEED, extra=extra) as stack:
        prepare(tmp_path, extra)
        token = Layout.of(_settings(stack)).operator_token.read_text().strip()
        for program in (DEVNET, TRON_CLIENT, WALLET_MANAGER):
            stack.start(program)
            stack.wait_ready(program, timeout_s=60)
        with Caller(stack, token) as caller, ChainReader(stack) as chain:
            made = Site(stack, caller, chain)
            made.begin()
            yield made


def test_killed_with_9_at_steps_of_the_engine_every_intent_is_paid_once_or_dead(site: Site) -> None:
    seed = int(process_environment().get("DEATHS_SEED", "7"))
    chance = random.Random(seed)  # noqa: S311 - chooses when to die, guards nothing
    since = site.chain.head()
    accounts = site.caller.devnet("/devnet/accounts")["accounts"]
    asked: list[Intent] = []
    ends: list[int] = []
    site.stack.kill(WALLET_MANAGER)
    for number in range(DEATHS):
        if (fault := chance.choice(FAULTS)) is not None:
            site.chain.control("POST", "/devnet/faults", {"kind": fault, "count": 1})
        fresh = [
            _intent(site, accounts, f"{number}-{each}", 1_000_000 + len(asked) + each)
            for each in range(INTENTS_A_LIFE)
        ]
        asked += fresh
        when = chance.choice(["before", "after"])
        ends.append(site.dies(f"{chance.randint(1, LAST_STEP)}:{when}", fresh))
    assert ends.count(-9) >= DEATHS // 2, ends

    site.stack.start(WALLET_MANAGER)
    site.stack.wait_ready(WALLET_MANAGER, timeout_s=60)
    site.chain.control("DELETE", "/devnet/faults")
    site.ask(asked)
    wait_until(
        lambda: site.all_ended(asked),
        f"every intent ends, with DEATHS_SEED={seed}",
        timeout_s=ENDS_S,
    )
    states = {key: SendState(one["state"]) for key, one in site.sends(asked).items()}
    assert len(states) == len(asked)
    paid = site.chain.usdt_transfers(since) + site.chain.trx_transfers(since)
    owner = str(site.wallet["address"])
    expected: Counter[tuple[str, str, int]] = Counter()
    for one in asked:
        what = (owner, str(one.params.recipient), int(one.params.amount_base_units or 0))
        expected[what] = int(states[one.send_key] is SendState.CONFIRMED)
    assert {each: count for each, count in paid.items() if each[0] == owner} == +expected
    wait_until(lambda: site.held() == 0, "no hold is left")


def _intent(site: Site, accounts: list[dict[str, Any]], name: str, amount: int) -> Intent:
    return intent(
        name,
        amount=amount,
        kind=(SendKind.TRC20_TRANSFER, SendKind.TRX_TRANSFER)[amount % 2],
        wallet_id=site.wallet["wallet_id"],
        recipient=accounts[2 + amount % 4]["address"],
        max_fee_sun=100 * TRX,
        not_after=site.caller.devnet("/devnet/clock")["now_ms"] + 3_600_000,
    )
