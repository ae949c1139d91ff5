"""A storm of kills, forks, lost replies and jumps in time; afterwards the chain holds each promise once."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from services.demo import Caller, StoryBroken
from services.stack import DEVNET, Stack
from shared.config import SERVICES
from shared.money import format_base_units
from tests.system.chain import ChainReader

pytestmark = pytest.mark.system

SEED = 20_261_122
BLOWS = 8
PAYOUTS = 20
INVOICES = 4

Until = Callable[..., None]
Movement = tuple[str, str, str, int]
"""Currency, sender, recipient, base units."""


@dataclass(slots=True)
class Storm:
    """Hits everything at random; the same seed hits the same things in the same order."""

    stack: Stack
    chain: ChainReader
    until: Until
    random: random.Random
    blows: list[str] = field(default_factory=list)

    def rage(self) -> None:
        for _ in range(BLOWS):
            kind = self.random.choice(("kill", "kill", "fork", "drop", "lost", "jump"))
            self.blows.append(kind)
            if kind == "kill":
                self._kill()
            else:
                self._tell(kind)
            self._pass_blocks(self.random.randrange(1, 6))

    def settle(self) -> None:
        self.chain.control("DELETE", "/devnet/faults")
        for program in (DEVNET, *SERVICES):
            self.stack.wait_ready(program, timeout_s=60)

    def _kill(self) -> None:
        hit = self.random.sample((DEVNET, *SERVICES), self.random.choice((1, 2, 3, 7)))
        self.blows[-1] = f"kill {' '.join(hit)}"
        for program in hit:
            self.stack.kill(program)
        for program in hit:
            self.stack.start(program)
        self.stack.wait_ready(DEVNET, timeout_s=30)

    def _tell(self, kind: str) -> None:
        count = self.random.randrange(1, 12)
        path, order = {
            "fork": (
                "/devnet/faults",
                {"kind": "reorg", "depth": count, "drop": self.random.random() < 0.5},
            ),
            "drop": ("/devnet/faults", {"kind": "drop_transaction", "count": count}),
            "lost": ("/devnet/faults", {"kind": "reply_lost", "count": count}),
            "jump": ("/devnet/jump", {"seconds": 400}),
        }[kind]
        with contextlib.suppress(httpx.HTTPStatusError):  # a fork may not go below the solid block
            self.chain.control("POST", path, order)

    def _pass_blocks(self, count: int) -> None:
        start = self.chain.head()
        self.until(lambda: self.chain.head() >= start + count, "the chain goes on")


class Promises:
    """What was asked for, and what the chain must hold because of it."""

    def __init__(self, caller: Caller, chain: ChainReader, payer: str) -> None:
        self._caller = caller
        self._chain = chain
        self._payer = payer
        self._since = chain.head()
        self._accounts = caller.devnet("/devnet/accounts")["accounts"]
        self._paid_out: Counter[Movement] = Counter()
        self._payouts: list[str] = []
        self._invoices: dict[str, Movement] = {}

    def ask_for_payouts(self) -> None:
        items = []
        for number in range(PAYOUTS):
            currency = ("USDT", "TRX")[number % 2]
            amount = 10_000_001 + number
            to = self._accounts[2 + number % 5]["address"]
            self._paid_out[currency, self._payer, to, amount] += 1
            items.append(
                {
                    "user_id": f"chaos-{number}",
                    "amount": format_base_units(amount),
                    "currency": currency,
                    "recipient_address": to,
                }
            )
        batch = self._caller.post(
            "payout-router", "/api/v1/payouts/batch", {"payouts": items}, key="chaos"
        )
        self._payouts = [item["payout"]["payout_id"] for item in batch["payouts"]]

    def ask_for_money(self) -> None:
        for number in range(INVOICES):
            currency, amount = ("USDT", "TRX")[number % 2], 5_000_001 + number
            invoice = self._caller.post(
                "payment-gateway",
                "/api/v1/invoices",
                {
                    "amount": format_base_units(amount),
                    "currency": currency,
                    "expires_in_s": 604_800,
                },
                key=f"chaos-{number}",
            )
            customer = self._accounts[2 + number]["address"]
            self._invoices[invoice["invoice_id"]] = (
                currency,
                customer,
                invoice["pay_to_address"],
                amount,
            )

    def customers_pay(self) -> None:
        """Pay each invoice of which the chain knows no payment: a fork may have dropped one."""
        held = self.on_chain()
        for currency, customer, address, amount in self._invoices.values():
            if not held[currency, customer, address, amount]:
                order = {"from": customer, "to": address, "currency": currency}
                self._caller.devnet(
                    "/devnet/transfer", {**order, "amount": format_base_units(amount)}
                )

    def on_chain(self) -> Counter[Movement]:
        counted: Counter[Movement] = Counter()
        for currency, found in (
            ("USDT", self._chain.usdt_transfers(self._since)),
            ("TRX", self._chain.trx_transfers(self._since)),
        ):
            counted.update({(currency, *movement): count for movement, count in found.items()})
        return counted

    def are_kept(self) -> bool:
        return all(view["status"] == "completed" for view in self._payout_views()) and all(
            view["state"] == "paid" for view in self._invoice_views()
        )

    def check(self) -> None:
        held = self.on_chain()
        from_payer = Counter(
            {each: count for each, count in held.items() if each[1] == self._payer}
        )
        assert from_payer == self._paid_out
        for view in self._invoice_views():
            promised = self._invoices[view["invoice_id"]]
            assert held[promised] == 1
            assert int(view["paid_base_units"]) == promised[3]
            standing = [each for each in view["transfers"] if each["state"] != "retracted"]
            assert [each["state"] for each in standing] == ["confirmed"]
        for currency, address in {(each[0], each[2]) for each in self._invoices.values()}:
            assert self.booked(address, currency) == self._received(held, currency, address)

    def booked(self, address: str, currency: str) -> int:
        view = self._caller.get(
            "wallet-manager", f"/api/v1/wallets/{address}/balance", currency=currency
        )
        return int(view["balance_base_units"])

    def _received(self, held: Counter[Movement], currency: str, address: str) -> int:
        return sum(
            each[3] * count
            for each, count in held.items()
            if (each[0], each[2]) == (currency, address)
        )

    def _payout_views(self) -> Iterator[dict[str, Any]]:
        for id_ in self._payouts:
            yield self._caller.get("payout-router", f"/api/v1/payouts/{id_}")

    def _invoice_views(self) -> Iterator[dict[str, Any]]:
        for id_ in self._invoices:
            yield self._caller.get("payment-gateway", f"/api/v1/invoices/{id_}")


def test_after_a_storm_the_chain_holds_each_promise_once_and_nothing_else(
    stack: Stack, caller: Caller, chain: ChainReader, funded: str, until: Until
) -> None:
    promises = Promises(caller, chain, funded)
    promises.ask_for_money()
    promises.ask_for_payouts()
    promises.customers_pay()

    storm = Storm(stack, chain, until, random.Random(SEED))  # noqa: S311 - must repeat
    storm.rage()
    storm.settle()
    until(lambda: chain.pending() == 0, "what can still come has come")
    promises.customers_pay()

    def kept() -> bool:
        with contextlib.suppress(StoryBroken):
            return promises.are_kept()
        return False

    until(kept, f"every promise is kept after {storm.blows}", timeout_s=60)
    promises.check()


def test_no_secret_and_no_crash_is_in_any_log_after_it(stack: Stack, token: str) -> None:
    logs = "".join(stack.log_path(program).read_text() for program in (DEVNET, *SERVICES))
    assert token not in logs
    assert "PRIVATE KEY" not in logs
    assert "request.crashed" not in logs
