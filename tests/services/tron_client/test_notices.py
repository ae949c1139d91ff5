"""What happens on chain to watched addresses, to USDT and to the fees becomes alarms and events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devnet.chain_pb2 import AccountPermissionUpdateContract, Permission
from devnet.chain_pb2 import Key as AccountKey
from devnet.control.contract_orders import ContractOrders
from devnet.forks import Fate
from devnet.genesis import CUSTOMERS
from services.tron_client.domain.notices import EFFECTS, NoticeKind, parameter_notices
from services.tron_client.domain.parameters import FEES
from services.tron_client.service.vigil import HEAD_LAG, SOLID_STALL
from services.tron_client.store.schema import NOTICE_FEED
from shared.clock import HeldClock
from shared.models.alarms import Severity
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    World,
    benched,
    text,
)
from tests.support import START_MS

ACTIVE_OPERATIONS = bytes.fromhex("7fff1fc0033efb0f" + "00" * 24)

Order = Callable[[ContractOrders, World], object]


async def announced(bench: Bench) -> list[tuple[str, str]]:
    """Return the open alarms once every notice was announced."""
    while await bench.service.announcer.announce():
        pass
    return sorted((each.kind, each.subject) for each in bench.service.alarms.open())


async def told(bench: Bench) -> list[tuple[str, str]]:
    return [(each.type, each.object["subject"]) for each in await bench.told(NOTICE_FEED)]


def orders(world: World) -> ContractOrders:
    return ContractOrders(world.devnet.teller)


@pytest.mark.parametrize(
    ("order", "kind", "said"),
    [
        (lambda o, _: o.set_paused(paused=True), "usdt_paused", "USDT is paused"),
        (lambda o, _: o.set_fee(10, 2), "usdt_fee_changed", "10 basis points"),
        (lambda o, _: o.deprecate(), "usdt_deprecated", "hands its calls on to T"),
    ],
)
async def test_what_the_issuer_does_to_usdt_is_an_alarm_and_an_event(
    bench: Bench, order: Order, kind: str, said: str
) -> None:
    order(orders(bench.world), bench.world)
    await bench.mine(1)
    assert await announced(bench) == []
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await told(bench) == [(f"chain.{kind}", "usdt")]
    assert await announced(bench) == [(kind, "usdt")]
    assert said in bench.service.alarms.open()[0].detail


async def test_a_pause_that_ends_ends_its_alarm_even_within_one_page(bench: Bench) -> None:
    orders(bench.world).set_paused(paused=True)
    bench.world.mine()
    orders(bench.world).set_paused(paused=False)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await told(bench) == [("chain.usdt_paused", "usdt"), ("chain.usdt_resumed", "usdt")]
    assert await announced(bench) == []


async def test_a_watched_address_that_is_black_listed_and_robbed_is_an_alarm(
    bench: Bench,
) -> None:
    watched, other = bench.world.payee.address, CUSTOMERS[5].key.address
    for address in (watched, other):
        orders(bench.world).set_black_listed(address, listed=True)
    bench.world.mine()
    orders(bench.world).destroy_black_funds(watched)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await announced(bench) == [
        ("usdt_blacklisted", text(watched)),
        ("usdt_funds_destroyed", text(watched)),
    ]
    orders(bench.world).set_black_listed(watched, listed=False)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await announced(bench) == [("usdt_funds_destroyed", text(watched))]


def permission_update(world: World) -> AccountPermissionUpdateContract:
    keys = [AccountKey(address=each.address, weight=1) for each in (world.payer, world.payee)]
    return AccountPermissionUpdateContract(
        owner_address=world.payer.address,
        owner=Permission(type=Permission.Owner, permission_name="owner", threshold=1, keys=keys),
        actives=[
            Permission(
                type=Permission.Active,
                permission_name="active",
                threshold=1,
                operations=ACTIVE_OPERATIONS,
                keys=keys,
            )
        ],
    )


async def test_permissions_of_a_watched_address_that_change_are_an_alarm(bench: Bench) -> None:
    """Contract type 46: another key may sign for the address from then on."""
    for watch in (False, True):
        if watch:
            await bench.coverage.watch([bench.payer])
        bench.world.devnet.node.broadcast(bench.world.wrapped(permission_update(bench.world)))
        await bench.mine(BLOCKS_TO_SOLID + 1)
        expected = [("permissions_changed", bench.payer)] if watch else []
        assert await announced(bench) == expected
    account = await bench.service.reads.account(bench.payer)
    assert account.permissions is not None
    assert [key for key, _ in account.permissions.owner.keys] == [
        bench.payer,
        text(bench.world.payee.address),
    ]


async def test_a_notice_is_stored_once_though_the_process_ends_before_the_alarm(
    world: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        orders(world).set_paused(paused=True)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert len(await told(bench)) == 1
    async with benched(world, tmp_path) as bench:
        await bench.mine(1)
        assert len(await told(bench)) == 1
        assert await announced(bench) == [("usdt_paused", "usdt")]


async def test_what_is_not_solid_raises_nothing_yet(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        orders(world).set_paused(paused=True)
        await bench.mine(BLOCKS_TO_SOLID - 2)
        assert await told(bench) == []
        assert await announced(bench) == []


@pytest.mark.parametrize(
    ("fate", "kinds"),
    [(Fate.DROP, []), (Fate.WAIT, ["usdt_blacklisted", "usdt_paused"])],
)
async def test_h8_what_a_fork_takes_back_is_told_once_or_never(
    bench: Bench, fate: Fate, kinds: list[str]
) -> None:
    """What was seen in a block that is orphaned is told of from its solid block, if it has one."""
    watched = bench.world.payee.address
    orders(bench.world).set_black_listed(watched, listed=True)
    orders(bench.world).set_paused(paused=True)
    await bench.mine(3)
    orphan = bench.sight.current().head.height - 2
    before = await bench.store.block_at(orphan)
    assert before is not None
    assert before.touches

    bench.world.devnet.node.reorganise(3, fate=fate)
    await bench.mine(BLOCKS_TO_SOLID + 5)
    events = await bench.told(NOTICE_FEED)
    assert sorted(each.object["kind"] for each in events) == kinds
    assert before.id not in {each.object["block"]["block_id"] for each in events}
    assert [kind for kind, _ in await announced(bench)] == kinds


async def test_calls_do_not_grow_with_what_happens_to_addresses_that_nobody_watches(
    bench: Bench,
) -> None:
    stranger = CUSTOMERS[5].key.address
    counts = []
    acts: list[Callable[[], object]] = [
        lambda: bench.world.devnet.teller.send_trx(bench.world.payer, stranger, 5),
        lambda: orders(bench.world).set_black_listed(stranger, listed=True),
    ]
    for act in acts:
        before = sum(bench.calls().values())
        act()
        await bench.mine(1)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        counts.append(sum(bench.calls().values()) - before)
    assert counts[0] == counts[1]


async def test_parameters_that_change_are_announced_with_old_and_new(
    bench: Bench,
) -> None:
    await bench.service.chain.refresh_parameters()
    assert await told(bench) == []
    bench.world.devnet.teller.set_parameters({11: 210, 13: 100})
    await bench.mine(1)
    await bench.service.chain.refresh_parameters()
    await bench.service.chain.refresh_parameters()
    events = await bench.told(NOTICE_FEED)
    assert [(each.type, each.object["changes"]) for each in events] == [
        (
            "chain.fee_parameters_changed",
            [{"name": "getEnergyFee", "before": "100", "after": "210"}],
        ),
        (
            "chain.chain_parameters_changed",
            [{"name": "getMaxCpuTimeOfOneTx", "before": "80", "after": "100"}],
        ),
    ]
    assert {kind for kind, _ in await announced(bench)} == {
        "fee_parameters_changed",
        "chain_parameters_changed",
    }
    assert bench.service.alarms.reason() is None
    assert bench.service.chain.parameters().energy_fee_sun == 210


async def test_a_change_of_parameters_is_noticed_over_a_restart(
    world: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.service.chain.refresh_parameters()
    world.devnet.teller.set_parameters({11: 420})
    world.mine()
    async with benched(world, tmp_path) as bench:
        await bench.service.chain.refresh_parameters()
        assert await announced(bench) == [("fee_parameters_changed", "chain")]


async def test_parameters_that_change_twice_within_a_moment_are_announced_twice(
    world: World, tmp_path: Path
) -> None:
    """The clock of a machine may stand, or be set back to where it was."""
    clock = HeldClock(world.devnet.node.clock.now_ms())
    async with benched(world, tmp_path, clock=clock) as bench:
        await bench.service.chain.refresh_parameters()
        for fee_sun in (210, 420):
            world.devnet.teller.set_parameters({11: fee_sun})
            world.mine()
            await bench.service.chain.refresh_parameters()
        changes = [each.object["changes"][0]["after"] for each in await bench.told(NOTICE_FEED)]
        assert changes == ["210", "420"]


def test_a_parameter_that_appears_or_goes_is_a_change_and_a_figure_of_use_is_none() -> None:
    before = {"getEnergyFee": 1, "getGone": 2, "getTotalEnergyAverageUsage": 5}
    after = {"getEnergyFee": 1, "getNew": 3, "getTotalEnergyAverageUsage": 9}
    (notice,) = parameter_notices(before, after, reading=1, now_ms=START_MS)
    assert [(each.name, each.before, each.after) for each in notice.changes] == [
        ("getGone", 2, None),
        ("getNew", None, 3),
    ]
    assert "getEnergyFee" in FEES


def test_every_kind_of_notice_means_something_for_the_alarms() -> None:
    assert set(EFFECTS) == set(NoticeKind)


async def test_a_solid_head_that_stands_for_three_minutes_of_chain_time_stops_signing(
    world: World, tmp_path: Path
) -> None:
    clock = HeldClock(world.devnet.node.clock.now_ms())
    async with benched(world, tmp_path, clock=clock) as bench:
        await bench.scan()
        await bench.service.chain.refresh_parameters()
        await bench.service.vigil.watch()
        clock.advance(seconds=179)
        await bench.service.vigil.watch()
        assert not bench.service.alarms.is_open(SOLID_STALL, "chain")
        clock.advance(seconds=1)
        await bench.service.vigil.watch()
        reason = bench.service.vigil.reason_to_pause()
        assert reason is not None
        assert "is the last for 180 s" in reason
        (alarm,) = [each for each in bench.service.alarms.open() if each.kind == SOLID_STALL]
        await bench.service.alarms.acknowledge(alarm.id, by="ada", note="looking")
        assert bench.service.vigil.reason_to_pause() == reason

        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.service.vigil.watch()
        assert bench.service.vigil.reason_to_pause() is None


async def test_a_signer_is_told_why_it_must_pause(bench: Bench) -> None:
    await bench.service.chain.refresh_parameters()
    assert bench.service.chain.signing_context().paused is None
    await bench.service.alarms.raise_alarm(
        "operators_disagree", "head", detail="two heads at one height"
    )
    paused = bench.service.chain.signing_context().paused
    assert paused == "operators_disagree: two heads at one height"


async def test_a_head_that_falls_behind_is_a_warning_until_it_is_back(
    world: World, tmp_path: Path
) -> None:
    wire = SpoiledWire(world.devnet, lambda path, _, answer: {} if "num" in path else answer)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.service.vigil.watch()
        assert not bench.service.alarms.is_open(HEAD_LAG, "chain")
        wire.is_spoiled = True
        world.mine(50)
        await bench.scan()
        await bench.service.vigil.watch()
        (alarm,) = bench.service.alarms.open()
        assert (alarm.kind, alarm.severity) == (HEAD_LAG, Severity.WARNING)
        wire.is_spoiled = False
        await bench.scan()
        await bench.service.vigil.watch()
        assert bench.service.alarms.open() == []
