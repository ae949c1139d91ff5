"""What becomes of a wallet: named, put out of use, locked, archived."""

import asyncio
import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.books import staked
from services.wallet_manager.domain.wallets import (
    TRANSITIONS,
    CannotSign,
    IllegalStatus,
    NoAddresses,
    Wallet,
    WalletFilter,
    WalletNotEmpty,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.custody import Custody
from services.wallet_manager.service.guards import Decided, Guards
from services.wallet_manager.service.holdings import Holdings, Told
from services.wallet_manager.service.mainnet import Preflight
from services.wallet_manager.service.policy import PolicyGate, PolicyGuard
from services.wallet_manager.store.schema import POSITIONS
from shared.clock import HeldClock
from shared.errors import Unavailable
from shared.models.tron_client import AccountView, ResourcesView
from shared.models.wallet_manager import (
    AddressRequest,
    WalletChange,
    WalletRequest,
    WalletStatus,
    WalletType,
)
from shared.models.wallet_sends import SendState
from shared.models.wire import BlockRef
from shared.money import Currency, format_base_units
from shared.storage import Unit
from shared.tron.address import Address
from tests.services.wallet_manager.guards import Meanwhile, guarded
from tests.services.wallet_manager.till import (
    CUSTOMER,
    Chain,
    Till,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS

WANTED = AddressRequest(request_id="r", purpose="invoice")
LEGAL = {
    ("active", "inactive"),
    ("active", "locked"),
    ("active", "archived"),
    ("inactive", "active"),
    ("inactive", "locked"),
    ("inactive", "archived"),
    ("locked", "active"),
    ("archived", "inactive"),
    ("archived", "locked"),
}


UNUSED = ResourcesView(
    free_bandwidth_limit=0,
    free_bandwidth_used=0,
    staked_bandwidth_limit=0,
    staked_bandwidth_used=0,
    energy_limit=0,
    energy_used=0,
)


@dataclass
class OnChain:
    """What the chain tells of every address."""

    balance_sun: int = 0
    is_away: bool = False

    async def look(self, address: Address) -> Holdings:
        if self.is_away:
            raise Unavailable("the chain is out of sight")
        account = AccountView(
            address=address,
            activated=self.balance_sun > 0,
            is_contract=False,
            balance=format_base_units(self.balance_sun),
            balance_sun=str(self.balance_sun),
            resources=UNUSED,
            frozen=[],
            unfreezing=[],
            delegated=[],
            received=[],
            votes=[],
            permissions=None,
        )
        amounts = {
            (str(address), Currency.TRX): self.balance_sun,
            (str(address), Currency.USDT): 0,
        }
        head = BlockRef(height=7, block_id="00" * 32, timestamp_ms=0)
        told = Told(account=account, amounts=amounts, head=head, age_s=0)
        return Holdings(address=address, told=told, positions={})


@pytest.fixture
def chain() -> OnChain:
    return OnChain()


@pytest.fixture
def custody(till: Till, chain: OnChain) -> Custody:
    audit = Audit(store=till.store, clock=till.clock)
    return Custody(store=till.store, audit=audit, look=chain.look, books_lock=till.books_lock)


async def made(till: Till, key: str = "k", **fields: str) -> Wallet:
    request = WalletRequest.model_validate({"user_id": "ada"} | fields)
    return (await till.wallets.create(request, principal="p", key=key))[0]


def wanted(**fields: object) -> WalletChange:
    return WalletChange.model_validate({"reason": "said so"} | fields)


async def decisions(till: Till) -> list[Decision]:
    audit = Audit(store=till.store, clock=till.clock)
    return [one async for _, _, one in audit.decisions(after=0, limit=100)]


async def test_a_round_that_saw_a_wallet_in_use_is_over_before_it_is_out_of_use(
    till: Till, custody: Custody
) -> None:
    wallet = await made(till)
    async with till.books_lock:  # as a signing round does
        change = asyncio.create_task(
            custody.change(wallet, wanted(status=WalletStatus.INACTIVE), by="ada")
        )
        for _ in range(100):
            await till.storage.probe()
        assert not change.done()
    assert (await change).status is WalletStatus.INACTIVE


@pytest.mark.parametrize(("before", "after"), list(itertools.product(WalletStatus, WalletStatus)))
async def test_a_wallet_goes_where_the_table_says_and_nowhere_else(
    till: Till, before: WalletStatus, after: WalletStatus
) -> None:
    wallet = await made(till)
    path = {
        WalletStatus.ACTIVE: (),
        WalletStatus.INACTIVE: (WalletStatus.INACTIVE,),
        WalletStatus.LOCKED: (WalletStatus.LOCKED,),
        WalletStatus.ARCHIVED: (WalletStatus.ARCHIVED,),
    }[before]
    for status in path:
        wallet = wallet.moved(status)

    if (before.value, after.value) in LEGAL:
        assert wallet.moved(after).status is after
    else:
        with pytest.raises(IllegalStatus):
            wallet.moved(after)
    assert set(TRANSITIONS) == set(WalletStatus)


async def test_label_and_owner_are_changed_and_written_down(till: Till, custody: Custody) -> None:
    wallet = await made(till)

    await custody.change(wallet, wanted(label="till 2", user_id="bob"), by="carol")

    found = await till.wallets.find(wallet.id)
    assert (found.label, found.user_id) == ("till 2", "bob")
    assert [(one.act, one.who, one.subject) for one in await decisions(till)] == [
        (Act.WALLET_MADE, "p", wallet.id),
        (Act.WALLET_CHANGED, "carol", wallet.id),
    ]


async def test_a_change_that_changes_nothing_is_not_written_down(
    till: Till, custody: Custody
) -> None:
    wallet = await made(till)

    same = await custody.change(wallet, wanted(status="active", user_id="ada"), by="carol")

    assert same == wallet
    assert len(await decisions(till)) == 1


async def test_of_two_changes_at_once_one_is_told_to_try_again(
    till: Till, custody: Custody
) -> None:
    wallet = await made(till)
    await custody.change(wallet, wanted(label="first"), by="carol")

    with pytest.raises(Unavailable):
        await custody.change(wallet, wanted(label="second"), by="carol")

    assert (await till.wallets.find(wallet.id)).label == "first"


async def test_a_lock_is_not_undone_by_a_change_of_status(till: Till, custody: Custody) -> None:
    """An unlock takes approvals; a change does not."""
    wallet = (await made(till)).locked()
    await till.store.save_wallet(wallet)
    locked = await till.wallets.find(wallet.id)

    for status in ("active", "inactive"):
        with pytest.raises(IllegalStatus):
            await custody.change(locked, wanted(status=status), by="carol")

    assert (await till.wallets.find(wallet.id)).status is WalletStatus.LOCKED


async def test_an_inactive_wallet_signs_nothing_and_hands_out_no_addresses(
    till: Till, custody: Custody
) -> None:
    treasury = await till.treasury()
    shown, _ = await till.wallets.derive(treasury.id, WANTED)
    treasury = await till.wallets.find(treasury.id)
    await custody.change(treasury, wanted(status="inactive"), by="carol")

    send = await till.signed(intent(wallet_id=treasury.id))
    assert send.state is SendState.QUEUED
    assert send.waiting_for is not None
    assert "inactive" in send.waiting_for
    with pytest.raises(NoAddresses):
        await till.wallets.derive(treasury.id, AddressRequest(request_id="s", purpose="x"))
    again, _ = await till.wallets.derive(treasury.id, WANTED)
    assert again.id == shown.id  # what was shown stays


@pytest.mark.parametrize("where", ["own", "leaf", "staked"])
async def test_a_wallet_that_holds_anything_is_not_archived(
    till: Till, custody: Custody, where: str
) -> None:
    wallet = await made(till)
    leaf, _ = await till.wallets.derive(wallet.id, WANTED)
    wallet = await till.wallets.find(wallet.id)
    if where == "staked":
        account = Address(staked(wallet.address))
        (position,) = (await till.store.positions([(account, Currency.TRX)])).values()
        await till.storage.commit(Unit().insert(POSITIONS, position.book(1)))
    else:
        await till.deposit({"own": wallet.address, "leaf": leaf.id}[where], 1, Currency.USDT)

    with pytest.raises(WalletNotEmpty) as refused:
        await custody.archive(wallet, by="carol", reason="done")

    assert len(refused.value.facts["reasons"]) == 1  # type: ignore[arg-type]
    assert (await till.wallets.find(wallet.id)).status is WalletStatus.ACTIVE


async def test_a_wallet_with_a_send_under_way_is_not_archived(till: Till, custody: Custody) -> None:
    wallet = await made(till)
    await till.taken(intent(wallet_id=wallet.id))

    with pytest.raises(WalletNotEmpty):
        await custody.archive(wallet, by="carol", reason="done")


async def test_h11_an_archived_wallet_keeps_its_key_and_its_watches(
    till: Till, custody: Custody
) -> None:
    wallet = await made(till)
    leaf, _ = await till.wallets.derive(wallet.id, WANTED)
    wallet = await till.wallets.find(wallet.id)

    archived = await custody.archive(wallet, by="carol", reason="done")
    repeated = await custody.archive(archived, by="carol", reason="done")

    assert repeated.status is WalletStatus.ARCHIVED
    assert till.chain.watched == {wallet.address, leaf.id}
    (result,) = await till.accept(intent(wallet_id=wallet.id))
    assert result.problem is not None
    assert result.problem.code == CannotSign.code
    back = await custody.change(archived, wanted(status="inactive"), by="carol")
    back = await custody.change(back, wanted(status="active"), by="carol")
    assert (back.status, back.address) == (WalletStatus.ACTIVE, wallet.address)


async def test_the_treasury_is_not_archived(till: Till, custody: Custody) -> None:
    treasury = await till.treasury(trx=0, usdt=0)

    with pytest.raises(IllegalStatus):
        await custody.archive(treasury, by="carol", reason="done")


async def test_wallets_are_listed_by_status_owner_and_type(till: Till, custody: Custody) -> None:
    wallets = [await made(till, key=f"{n}", user_id="bob" if n % 3 else "ada") for n in range(12)]
    cold = await made(till, key="c", wallet_type="cold", address=CUSTOMER)
    await custody.archive(wallets[4], by="carol", reason="done")

    async def listed(**given: object) -> list[str]:
        chosen = WalletFilter(**given)  # type: ignore[arg-type]
        found: list[str] = []
        cursor = None
        while True:
            page = await till.wallets.page(cursor=cursor, limit=2, wanted=chosen)
            assert len(page.items) <= 2
            found += [one.id for one in page.items]
            cursor = page.next
            if cursor is None:
                return found

    ids = [one.id for one in wallets]
    assert await listed() == [*ids, cold.id]
    assert await listed(user_id="ada") == [*ids[::3], cold.id]
    assert await listed(status=WalletStatus.ARCHIVED) == [ids[4]]
    assert await listed(type=WalletType.COLD) == [cold.id]
    assert await listed(type=WalletType.SOFTWARE, user_id="ada") == ids[::3]
    assert await listed(user_id="nobody") == []


async def test_a_wallet_is_not_archived_while_money_is_on_its_way_to_it(
    till: Till, custody: Custody, chain: OnChain
) -> None:
    wallet = await made(till)
    chain.balance_sun = 5
    with pytest.raises(WalletNotEmpty) as refused:
        await custody.archive(wallet, by="ada", reason="closed")
    assert f"{wallet.address}: 5 base units of TRX at block 7" in str(refused.value.facts)
    chain.is_away = True
    with pytest.raises(Unavailable):
        await custody.archive(wallet, by="ada", reason="closed")
    chain.is_away, chain.balance_sun = False, 0
    after = await custody.archive(wallet, by="ada", reason="closed")
    assert after.status is WalletStatus.ARCHIVED


async def test_nothing_is_signed_for_a_wallet_once_it_is_locked_whatever_was_under_way(
    tmp_path: Path,
) -> None:
    storage, clock, meanwhile = await open_storage(tmp_path), HeldClock(START_MS), Meanwhile()
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        guards=[meanwhile],
    )
    made_up = await guarded(till, tmp_path, gates=[], guards=[])
    guards = Guards(
        store=till.store,
        audit=made_up.audit,
        approvals=made_up.approvals,
        policies=made_up.policies,
        decided=Decided(made_up.policies),
        gate=PolicyGate(
            policies=made_up.policies, approvals=made_up.approvals, audit=made_up.audit
        ),
        guard=PolicyGuard(
            store=till.store,
            policies=made_up.policies,
            audit=made_up.audit,
            ledger=made_up.ledger,
            clock=clock,
            operators=lambda: 2,
        ),
        switch=made_up.switch,
        preflight=Preflight({}, is_enforced=False),
        ledger=made_up.ledger,
        timekeeper=till.timekeeper,
        books_lock=till.books_lock,
    )
    await till.begins()
    treasury = await till.treasury()

    async def locked() -> int:
        await guards.set_lock(treasury, is_locked=True, reason="theft", by="ada")
        return await till.store.count(SendState.SIGNED)

    meanwhile.act = locked
    await till.accept(intent("one"))

    await till.sender.sign_due()
    at_return = await meanwhile.outcome()
    await till.accept(intent("two"))
    await till.sender.sign_due()

    assert await till.store.count(SendState.SIGNED) == at_return
    await storage.close()
