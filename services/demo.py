"""Tell the whole story against the devnet: an invoice paid, three payouts confirmed.

It drives the services as any caller would, over REST with a token, checks every step against the
chain, and exits non-zero if anything is not as it should be.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx
from pydantic import ValidationError
from tqdm import tqdm
from uuid6 import uuid7

from services.init import Layout
from services.run import RunSettings, start
from services.stack import PortBusy, Stack, StackBroken
from services.wallet_manager.settings import Settings as WalletSettings
from shared.config import ConfigurationMissing, explain
from shared.money import format_base_units, parse_base_units
from shared.storage import StorageError
from shared.tron.networks import Network

OWN_STACK_SPEED: Final = 10.0
"""Chain seconds in one of ours where the demo has to start a stack by itself."""

INVOICE_USDT: Final = "25"
PAYOUTS_USDT: Final = ("10", "11", "12.5")
TREASURY_TRX: Final = "1000"
TREASURY_USDT: Final = "100"
WAIT_CHAIN_S: Final = 600
POLL_S: Final = 2.0
"""Chain seconds between two looks; at least a quarter of a second of ours."""

MAX_PAUSE_S: Final = 60


class StoryBroken(Exception):
    """Something is not as it should be."""


class Caller:
    """Calls the services with the operator's token, and the devnet's control port."""

    def __init__(self, stack: Stack, token: str) -> None:
        self._stack = stack
        self._client = httpx.Client(timeout=30, trust_env=False)
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, service: str, path: str, **params: str) -> dict[str, Any]:
        """GET from a service."""
        return self._call("GET", self._stack.url(service) + path, params=params)

    def post(self, service: str, path: str, body: object, *, key: str) -> dict[str, Any]:
        """POST to a service under an idempotency key."""
        return self._call("POST", self._stack.url(service) + path, body=body, key=key)

    def devnet(self, path: str, body: object = None) -> dict[str, Any]:
        """Ask or tell the devnet."""
        method = "GET" if body is None else "POST"
        return self._call(method, self._stack.control_url + path, body=body)

    def _call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        answer = self._client.request(method, url, params=params, json=body, headers=headers)
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:  # as a good caller does
            time.sleep(min(int(answer.headers.get("Retry-After", "1")), MAX_PAUSE_S))
            answer = self._client.request(method, url, params=params, json=body, headers=headers)
        if not answer.is_success:
            raise StoryBroken(f"{method} {url} answered {answer.status_code}: {answer.text[:500]}")
        document: dict[str, Any] = answer.json()
        return document


class Story:
    """The steps, in order; each prints what happened."""

    def __init__(self, caller: Caller, *, speed: float) -> None:
        self._caller = caller
        self._timeout_s = WAIT_CHAIN_S / speed + 30
        self._poll_s = max(0.25, POLL_S / speed)
        self._run = uuid7().hex

    def tell(self) -> None:
        """Tell it; raises StoryBroken."""
        treasury = self._treasury()
        customer, *recipients = self._caller.devnet("/devnet/accounts")["accounts"][:4]
        self._fund(treasury)
        self._invoice(customer)
        self._payouts(treasury, [account["address"] for account in recipients])

    def _treasury(self) -> str:
        listed = self._caller.get("wallet-manager", "/api/v1/wallets", limit="100")["wallets"]
        known = [wallet for wallet in listed if wallet["role"] == "treasury"]
        body = {
            "user_id": "operator",
            "wallet_type": "hot",
            "role": "treasury",
            "label": "Treasury",
        }
        wallet = (
            known[0]
            if known
            else self._caller.post("wallet-manager", "/api/v1/wallets", body, key="demo-treasury")
        )
        say("treasury wallet", f"{wallet['wallet_id']}  {wallet['address']}")
        return str(wallet["address"])

    def _fund(self, treasury: str) -> None:
        before = {currency: self._booked(treasury, currency) for currency in ("TRX", "USDT")}
        order = {"address": treasury, "trx": TREASURY_TRX, "usdt": TREASURY_USDT}
        txids = self._caller.devnet("/devnet/faucet", order)["txids"]
        say("faucet", f"{TREASURY_TRX} TRX and {TREASURY_USDT} USDT to the treasury")
        for txid in txids:
            say("", txid)
        wanted = {
            "TRX": before["TRX"] + parse_base_units(TREASURY_TRX),
            "USDT": before["USDT"] + parse_base_units(TREASURY_USDT),
        }
        self._await(
            "funds booked once their blocks are solid",
            lambda: {currency: self._booked(treasury, currency) for currency in wanted},
            lambda booked: booked == wanted,
        )
        self._show_balance("treasury now", treasury)

    def _invoice(self, customer: Mapping[str, Any]) -> None:
        body = {"amount": INVOICE_USDT, "currency": "USDT", "description": "demo"}
        invoice = self._caller.post(
            "payment-gateway", "/api/v1/invoices", body, key=f"demo-invoice-{self._run}"
        )
        say(
            "invoice",
            f"{invoice['invoice_id']}  {INVOICE_USDT} USDT to {invoice['pay_to_address']}",
        )
        order = {
            "from": customer["name"],
            "to": invoice["pay_to_address"],
            "amount": INVOICE_USDT,
            "currency": "USDT",
        }
        txid = self._caller.devnet("/devnet/transfer", order)["txid"]
        say("customer pays", txid)
        states = self._await(
            "invoice paid",
            lambda: self._caller.get(
                "payment-gateway", f"/api/v1/invoices/{invoice['invoice_id']}"
            ),
            lambda view: view["state"] == "paid",
            label=lambda view: str(view["state"]),
        )
        if states[:-1][-1:] != ["seen"]:
            raise StoryBroken(f"the invoice was never seen before it was paid: {states}")
        final = self._caller.get("payment-gateway", f"/api/v1/invoices/{invoice['invoice_id']}")
        if [transfer["txid"] for transfer in final["transfers"]] != [txid]:
            raise StoryBroken("the invoice was not paid by the customer's transaction")
        say("invoice", f"paid {final['paid']} USDT ({' → '.join(states)})")

    def _payouts(self, treasury: str, recipients: Sequence[str]) -> None:
        held_before = [self._on_chain(address) for address in recipients]
        booked_before = self._booked(treasury, "USDT")
        items = [
            {"user_id": f"user-{number}", "amount": amount, "recipient_address": address}
            for number, (amount, address) in enumerate(
                zip(PAYOUTS_USDT, recipients, strict=True), 1
            )
        ]
        batch = self._caller.post(
            "payout-router",
            "/api/v1/payouts/batch",
            {"payouts": items},
            key=f"demo-batch-{self._run}",
        )
        say("batch of three", f"{batch['batch_id']}  {batch['accepted']} accepted")
        ids = [item["payout"]["payout_id"] for item in batch["payouts"]]
        self._await(
            "payouts confirmed",
            lambda: [self._caller.get("payout-router", f"/api/v1/payouts/{id_}") for id_ in ids],
            lambda views: all(view["status"] == "completed" for view in views),
            label=lambda views: ", ".join(view["detail_state"] for view in views),
        )
        done = [self._caller.get("payout-router", f"/api/v1/payouts/{id_}") for id_ in ids]
        for view in done:
            say("paid", f"{view['amount']:>5} USDT to {view['recipient_address']}")
            say("", f"{view['txid']}  fee {format_base_units(int(view['fee_sun']))} TRX")
        self._check_paid(recipients, held_before)
        paid = sum(parse_base_units(amount) for amount in PAYOUTS_USDT)
        if self._booked(treasury, "USDT") != booked_before - paid:
            raise StoryBroken("the treasury's books do not show the payouts exactly once")
        self._show_balance("treasury at the end", treasury)
        for address in recipients:
            say(
                "recipient holds",
                f"{format_base_units(self._on_chain(address)):>12} USDT  {address}",
            )

    def _check_paid(self, recipients: Sequence[str], held_before: Sequence[int]) -> None:
        for address, before, amount in zip(recipients, held_before, PAYOUTS_USDT, strict=True):
            gained = self._on_chain(address) - before
            if gained != parse_base_units(amount):
                raise StoryBroken(f"{address} gained {gained} micro-USDT instead of {amount} USDT")

    def _booked(self, address: str, currency: str) -> int:
        view = self._caller.get(
            "wallet-manager", f"/api/v1/wallets/{address}/balance", currency=currency
        )
        return int(view["balance_base_units"])

    def _on_chain(self, address: str) -> int:
        view = self._caller.get("usdt-manager", f"/api/v1/usdt/balance/{address}")
        return int(view["balance_base_units"])

    def _show_balance(self, title: str, address: str) -> None:
        held = {currency: self._booked(address, currency) for currency in ("TRX", "USDT")}
        amounts = [f"{format_base_units(amount)} {currency}" for currency, amount in held.items()]
        say(title, ", ".join(amounts))

    def _await(
        self,
        goal: str,
        look: Callable[[], Any],
        reached: Callable[[Any], bool],
        *,
        label: Callable[[Any], str] = lambda _: "",
    ) -> list[str]:
        """Look until the goal is reached; returns the labels seen on the way, in order."""
        seen: list[str] = []
        deadline = time.monotonic() + self._timeout_s
        with tqdm(bar_format=f"… {goal}: {{elapsed}} {{desc}}", leave=False, disable=None) as bar:
            while time.monotonic() < deadline:
                view = look()
                told = label(view)
                if told not in seen[-1:]:
                    seen.append(told)
                    _say_progress(told)
                bar.set_description_str(told)
                if reached(view):
                    return seen
                time.sleep(self._poll_s)
        raise StoryBroken(f"{goal}: not within {self._timeout_s:.0f} s; last seen: {seen[-1:]}")


def say(title: str, told: str) -> None:
    """Print one line of the story."""
    tqdm.write(f"{title:<20} {told}", file=sys.stdout)


def _say_progress(told: str) -> None:
    if told:
        say("", f"… {told}")


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        settings = RunSettings()
        ports = settings.ports()
        stack = Stack(data_dir=settings.data_dir, ports=ports, speed=OWN_STACK_SPEED)
        with stack:
            if not _runs_already(stack):
                print(
                    f"no stack is running: starting one at {OWN_STACK_SPEED:g} times the chain's speed"
                )
                start(stack)
            speed = _devnet_speed(stack)
            with Caller(stack, _token(settings.data_dir)) as caller:
                Story(caller, speed=speed).tell()
    except ValidationError as error:
        print(explain(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except (
        StoryBroken,
        PortBusy,
        StackBroken,
        ConfigurationMissing,
        StorageError,
        httpx.HTTPError,
        OSError,
    ) as error:
        print(f"\nthe story broke: {error}", file=sys.stderr)
        return 1
    print("\neverything is as it should be")
    return 0


def _runs_already(stack: Stack) -> bool:
    try:
        info = httpx.get(f"{stack.url('payment-gateway')}/info", timeout=2, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    if info.get("network") != Network.DEVNET:
        raise StoryBroken(
            f"the demo moves play money: it refuses the network {info.get('network')}"
        )
    return True


def _devnet_speed(stack: Stack) -> float:
    clock = httpx.get(f"{stack.control_url}/devnet/clock", timeout=5, trust_env=False).json()
    return max(float(clock["speed"]), 1.0)


def _token(data_dir: Path) -> str:
    layout = Layout.of(WalletSettings(tron_network=Network.DEVNET, data_dir=data_dir))
    try:
        return layout.operator_token.read_text().strip()
    except FileNotFoundError:
        raise StoryBroken(
            f"the operator's token is not in {layout.operator_token}; set LUCID_DATA_DIR to the running stack's"
        ) from None
