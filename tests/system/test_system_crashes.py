from collections.abc import Callable

import pytest

from services.demo import Caller
from services.stack import Stack
from tests.system.chain import ChainReader

pytestmark = pytest.mark.system


def test_lost_replies_and_sigkill_in_mid_flight_pay_each_payout_exactly_once(
    stack: Stack, caller: Caller, chain: ChainReader, funded: str, until: Callable[..., None]
) -> None:
    since = chain.head()
    accounts = caller.devnet("/devnet/accounts")["accounts"]
    amounts = [10_000_001 + number for number in range(12)]
    recipients = [accounts[number % 6]["address"] for number in range(12)]
    items = [
        {"user_id": f"u{number}", "amount": f"10.{amount % 1_000_000:06d}", "recipient_address": to}
        for number, (amount, to) in enumerate(zip(amounts, recipients, strict=True))
    ]

    chain.control("POST", "/devnet/faults", {"kind": "reply_lost", "count": 4})
    chain.control("POST", "/devnet/faults", {"kind": "drop_transaction", "count": 3})
    batch = caller.post(
        "payout-router", "/api/v1/payouts/batch", {"payouts": items}, key="crash-batch"
    )
    assert batch["accepted"] == len(items)
    ids = [item["payout"]["payout_id"] for item in batch["payouts"]]

    def stats(service: str) -> dict[str, int]:
        counts: dict[str, int] = caller.get(service, "/stats")["counts"]
        return counts

    until(
        lambda: stats("wallet-manager")["sends_signed"] + _under_way(stats("wallet-manager")) > 0,
        "some send is signed",
    )
    stack.kill("wallet-manager")
    stack.kill("tron-client")
    for service in ("tron-client", "wallet-manager"):
        stack.start(service)
    until(lambda: _any_seen(caller, ids), "some payout moves again")
    stack.kill("wallet-manager")
    stack.kill("tron-client")
    stack.kill("payout-router")
    for service in ("tron-client", "wallet-manager", "payout-router"):
        stack.start(service)
    for service in ("tron-client", "wallet-manager", "payout-router"):
        stack.wait_ready(service, timeout_s=60)

    until(
        lambda: all(
            caller.get("payout-router", f"/api/v1/payouts/{id_}")["status"] == "completed"
            for id_ in ids
        ),
        "every payout is completed",
        timeout_s=180,
    )
    on_chain = chain.usdt_transfers(since)
    for recipient, amount in zip(recipients, amounts, strict=True):
        assert on_chain[funded, recipient, amount] == 1
    from_treasury = sum(count for (sender, _, _), count in on_chain.items() if sender == funded)
    assert from_treasury == len(items)


def test_a_repeated_batch_after_the_crash_is_still_the_same_batch(
    caller: Caller, funded: str
) -> None:
    assert funded
    listed = caller.get("payout-router", "/api/v1/payouts", limit="100")["payouts"]
    assert len({payout["payout_id"] for payout in listed}) == len(listed)
    assert len({payout["txid"] for payout in listed if payout["txid"]}) == len(listed)


def _under_way(counts: dict[str, int]) -> int:
    return sum(counts[f"sends_{state}"] for state in ("submitted", "unknown", "seen", "confirmed"))


def _any_seen(caller: Caller, ids: list[str]) -> bool:
    views = [caller.get("payout-router", f"/api/v1/payouts/{id_}") for id_ in ids]
    return any(view["txid"] is not None for view in views)
