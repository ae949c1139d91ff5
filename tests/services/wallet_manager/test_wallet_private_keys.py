"""Keys of their own: brought in on the machine, sealed apart, given away only as an encrypted file."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.cli import Refused, parser, tend_keys
from services.wallet_manager.cli.door import door_of
from services.wallet_manager.domain.approvals import ApprovalKind, ApprovalNeeded
from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.keys import Imported
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.unlocking import WeakPassphrase, WrongPassphrase
from services.wallet_manager.domain.wallets import AddressTaken, CannotSign, Wallet
from services.wallet_manager.routes.owner import SOCKET, Owned, answered, owner_socket
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.messages import Messages
from services.wallet_manager.service.private_keys import Exporting, Importing, PrivateKeys
from services.wallet_manager.settings import Settings
from services.wallet_manager.vault import VaultLocked, WrongMasterKey
from services.wallet_manager.vault.keystore import sealed_keystore
from shared.errors import InvalidFields, Unavailable
from shared.models.wallet_manager import (
    AddressRequest,
    MessageText,
    WalletRequest,
    WalletRole,
    WalletType,
)
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.tron.networks import Network
from shared.tron.signing import SigningKey, verify_signature
from tests.services.wallet_manager.opening import opened_keystore
from tests.services.wallet_manager.safe import (
    Fuse,
    Killed,
    MortalStorage,
    Safe,
    Terminal,
    founded_in,
    keeper_on,
    safe_in,
    secret,
)
from tests.services.wallet_manager.test_wallet_cli import said
from tests.services.wallet_manager.till import TRX, Chain, Till, intent, rules, till_on
from tests.support import settings_in

KEY = bytes(range(1, 33))
ADDRESS = SigningKey(KEY).address
OTHER = bytes(range(2, 34))
FILE = b"a passphrase for the file"
BY = "owner (uid 1000)"


@dataclass
class Bench:
    """An installation whose owner brings keys in and takes them out."""

    root: Path
    safe: Safe
    till: Till
    fuse: Fuse
    audit: Audit
    approvals: Approvals
    keys: PrivateKeys
    stopped: dict[str, str]

    async def brought(self, key: bytes = KEY, *, passphrase: bytes | None = None) -> Wallet:
        return await self.keys.importing.bring_in(
            bytearray(key),
            passphrase=bytearray(passphrase) if passphrase else None,
            user_id="ada",
            label="till 2",
            by=BY,
            why="moved from paper",
        )

    async def given(self, wallet_id: str, file: bytes = FILE) -> dict[str, Any]:
        return await self.keys.exporting.give(
            wallet_id, bytearray(file), passphrase=None, by=BY, why="audit"
        )

    async def told(self, *acts: Act) -> list[Decision]:
        assert (await self.audit.verify()).broken is None
        every = [one async for _, _, one in self.audit.decisions(after=0, limit=100)]
        return [one for one in every if one.act in acts]

    async def restarted(self) -> Safe:
        await self.safe.storage.close()
        again = await safe_in(self.root)
        await again.keeper.start()
        return again


async def bench_in(root: Path, *, quorum: int = 1) -> Bench:
    await founded_in(root)
    safe = await safe_in(root)
    fuse, stopped = Fuse(), dict[str, str]()
    clock, ids = safe.clock, itertools.count(1)
    till = till_on(
        MortalStorage(safe.storage, fuse),
        clock=clock,
        chain=Chain(clock),
        vault=safe.vault,
        ids=ids,
        rules=rules(),
    )
    keeper = keeper_on(till.store, safe.vault, clock, root)
    await keeper.start()
    await till.recovery.begin()
    audit = Audit(store=till.store, clock=clock)

    def new_id(prefix: str) -> str:
        return f"{prefix}_{next(ids):06d}"

    approvals = Approvals(
        store=till.store,
        audit=audit,
        clock=clock,
        new_id=new_id,
        quorums=dict.fromkeys(ApprovalKind, quorum),
        lifetime_ms=86_400_000,
    )
    keys = PrivateKeys(
        importing=Importing(
            store=till.store,
            keeper=keeper,
            wallets=till.wallets,
            audit=audit,
            clock=clock,
            new_id=new_id,
            network=Network.DEVNET,
            require_clear=till.recovery.require_clear,
        ),
        exporting=Exporting(
            store=till.store,
            vault=safe.vault,
            keeper=keeper,
            wallets=till.wallets,
            audit=audit,
            approvals=approvals,
            held_back=stopped.get,
        ),
    )
    return Bench(
        root=root,
        safe=replace(safe, keeper=keeper),
        till=till,
        fuse=fuse,
        audit=audit,
        approvals=approvals,
        keys=keys,
        stopped=stopped,
    )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await bench_in(tmp_path)
    yield bench
    await bench.safe.storage.close()


@pytest.fixture
async def four_eyes(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await bench_in(tmp_path, quorum=2)
    yield bench
    await bench.safe.storage.close()


# In


async def test_an_imported_key_signs_and_survives_a_restart(bench: Bench) -> None:
    wallet = await bench.brought()
    assert (wallet.address, wallet.type) == (ADDRESS, WalletType.IMPORTED)
    assert ADDRESS in bench.till.chain.watched
    await bench.till.deposit(ADDRESS, 100 * TRX, Currency.TRX)
    await bench.till.deposit(ADDRESS, 100 * TRX, Currency.USDT)

    send = await bench.till.signed(intent(wallet_id=wallet.id))

    assert send.state is SendState.SIGNED
    (attempt,) = await bench.till.attempts(send)
    assert verify_signature(ADDRESS, bytes.fromhex(attempt.id), bytes.fromhex(attempt.signature))
    again = await bench.restarted()
    assert again.vault._keys().signing_key(Imported(wallet_id=wallet.id)).address == ADDRESS


async def test_an_imported_key_signs_messages(bench: Bench) -> None:
    wallet = await bench.brought()
    desk = Messages(vault=bench.safe.vault, audit=bench.audit, held_back=lambda _: None)

    signed = await desk.sign(wallet, MessageText(message="hello"), by="ada")

    assert signed.address == ADDRESS
    with pytest.raises(CannotSign, match="not stored"):
        await desk.sign(replace(wallet, id="wal_other"), MessageText(message="hello"), by="ada")


async def test_an_import_is_written_down_with_who_and_why(bench: Bench) -> None:
    wallet = await bench.brought()

    (told,) = await bench.told(Act.WALLET_IMPORTED)
    assert (told.subject, told.who, told.why) == (wallet.id, BY, "moved from paper")
    assert told.facts == (("address", ADDRESS),)


@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, KEY[:-1], KEY + b"\0"])
async def test_what_is_no_key_is_refused_and_not_repeated(bench: Bench, key: bytes) -> None:
    with pytest.raises(InvalidFields) as refused:
        await bench.brought(key)

    assert not key or key.hex() not in str(refused.value)
    assert len(await bench.till.store.sealed_secrets()) == 2


async def test_a_key_is_here_once_be_it_a_wallets_or_an_addresss(bench: Bench) -> None:
    await bench.brought()
    with pytest.raises(AddressTaken):
        await bench.brought()
    treasury = await bench.till.treasury()
    leaf, _ = await bench.till.wallets.derive(
        treasury.id, AddressRequest(request_id="r", purpose="invoice")
    )
    tree = bench.safe.vault._keys().root.account(coin_type=1, account=0)
    assert tree.derive(0, 1).signing_key().address == leaf.id

    for index in (0, 1):
        with pytest.raises(AddressTaken):
            await bench.brought(tree.derive(0, index)._key.secret)


async def test_an_import_while_tron_client_is_away_is_not_shown_before_it_is_watched(
    bench: Bench,
) -> None:
    bench.till.chain.away = True
    wallet = await bench.brought()

    assert wallet.birth_height is None
    assert (await bench.till.wallets.page(cursor=None, limit=10)).items == []
    bench.till.chain.away = False
    assert (await bench.till.wallets.find(wallet.id)).birth_height is not None


async def test_a_rekey_moves_imported_keys_as_well(bench: Bench) -> None:
    wallet = await bench.brought()
    await bench.safe.keeper.rekey(None, by=BY)
    await bench.safe.keeper.set_passphrase(secret(), now=None, by=BY)

    again = await bench.restarted()
    assert not again.vault.is_open
    await again.keeper.unlock(secret(), by=BY)
    assert again.vault._keys().signing_key(Imported(wallet_id=wallet.id)).address == ADDRESS
    await again.storage.close()


async def test_a_vault_with_a_passphrase_asks_for_it_before_a_key_comes_in(bench: Bench) -> None:
    await bench.safe.keeper.set_passphrase(secret(), now=None, by=BY)
    with pytest.raises(WrongPassphrase):
        await bench.brought(passphrase=b"not the right one")

    await bench.safe.keeper.lock(by=BY)
    wallet = await bench.brought(passphrase=bytes(secret()))
    assert not bench.safe.vault.is_open
    await bench.safe.keeper.unlock(secret(), by=BY)
    assert bench.safe.vault._keys().signing_key(Imported(wallet_id=wallet.id)).address == ADDRESS


@pytest.mark.parametrize("after_the_write", [False, True])
async def test_a_kill_while_a_key_comes_in_leaves_all_of_it_or_nothing(
    bench: Bench, *, after_the_write: bool
) -> None:
    bench.fuse.left, bench.fuse.after_the_write = 1, after_the_write
    with pytest.raises(Killed):
        await bench.brought()

    again = await bench.restarted()
    wallet = await again.store.wallet_by_address(ADDRESS)
    assert (wallet is not None) is after_the_write
    assert len(await again.store.sealed_secrets()) == 2 + after_the_write
    if wallet is not None:
        assert again.vault._keys().signing_key(Imported(wallet_id=wallet.id)).address == ADDRESS
    await again.storage.close()


async def test_swapped_keys_of_two_wallets_open_nothing(bench: Bench) -> None:
    first, second = await bench.brought(), await bench.brought(OTHER)
    known = {one.id: one for one in await bench.till.store.sealed_secrets()}
    swapped = known | {
        first.id: replace(known[second.id], id=first.id),
        second.id: replace(known[first.id], id=second.id),
    }
    with pytest.raises(WrongMasterKey):
        bench.safe.vault.open(
            bytes.fromhex((bench.root / "master.key").read_text()), list(swapped.values())
        )


async def test_the_api_takes_no_key_of_its_own() -> None:
    with pytest.raises(ValueError, match="own machine"):
        WalletRequest(user_id="ada", wallet_type=WalletType.IMPORTED, role=WalletRole.PLAIN)


# Out


@pytest.mark.parametrize("is_imported", [True, False])
async def test_an_export_opens_with_its_passphrase_to_the_key_of_the_wallet(
    bench: Bench, *, is_imported: bool
) -> None:
    wallet = await bench.brought() if is_imported else await bench.till.treasury()

    file = await bench.given(wallet.id)

    key = SigningKey(opened_keystore(json.loads(json.dumps(file)), FILE))
    assert key.address == wallet.address == file["address"]
    with pytest.raises(ValueError, match="passphrase"):
        opened_keystore(file, FILE + b"!")
    (told,) = await bench.told(Act.WALLET_EXPORTED)
    assert (told.subject, told.who, told.why) == (wallet.id, BY, "audit")


async def test_an_export_needs_the_agreement_of_people_and_uses_it_up(four_eyes: Bench) -> None:
    wallet = await four_eyes.till.treasury()
    with pytest.raises(ApprovalNeeded) as needed:
        await four_eyes.given(wallet.id)
    asked = str(needed.value.facts["approval_id"])
    assert await four_eyes.told(Act.WALLET_EXPORTED) == []
    for who in ("ada", "bob"):
        await four_eyes.approvals.agree(asked, who=who, note="yes")

    assert (await four_eyes.given(wallet.id))["version"] == 3
    with pytest.raises(ApprovalNeeded) as again:
        await four_eyes.given(wallet.id)
    assert again.value.facts["approval_id"] != asked


async def test_a_kill_before_the_record_gives_no_file_and_keeps_the_agreement(
    four_eyes: Bench,
) -> None:
    wallet = await four_eyes.till.treasury()
    with pytest.raises(ApprovalNeeded) as needed:
        await four_eyes.given(wallet.id)
    for who in ("ada", "bob"):
        asked = str(needed.value.facts["approval_id"])
        await four_eyes.approvals.agree(asked, who=who, note="yes")
    four_eyes.fuse.left = 1
    with pytest.raises(Killed):
        await four_eyes.given(wallet.id)

    four_eyes.fuse.left = 100
    assert await four_eyes.told(Act.WALLET_EXPORTED) == []
    assert (await four_eyes.given(wallet.id))["version"] == 3


async def test_nothing_is_exported_while_it_is_stopped_locked_or_elsewhere(bench: Bench) -> None:
    wallet = await bench.till.treasury()
    bench.stopped[wallet.id] = "theft"
    with pytest.raises(SigningStopped):
        await bench.given(wallet.id)
    bench.stopped.clear()
    with pytest.raises(WeakPassphrase):
        await bench.given(wallet.id, b"short")
    watched = WalletRequest(user_id="a", wallet_type=WalletType.COLD, address=ADDRESS)
    cold, _ = await bench.till.wallets.create(watched, principal="p", key="k")
    with pytest.raises(CannotSign):
        await bench.given(cold.id)
    await bench.safe.keeper.lock(by=BY)
    with pytest.raises(VaultLocked):
        await bench.given(wallet.id)

    assert await bench.told(Act.WALLET_EXPORTED) == []


def test_a_keystore_is_the_one_that_geth_writes() -> None:
    """The scrypt vector with a key of 31 bytes of go-ethereum (accounts/keystore/testdata)."""
    file = sealed_keystore(
        bytes.fromhex("fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35"),
        bytearray(b"foo"),
        address=ADDRESS,
        salt=bytes.fromhex("711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63"),
        iv=bytes.fromhex("e0c41130a323adc1446fc82f724bca2f"),
        scrypt_n=2,
    )

    assert file["crypto"]["ciphertext"] == (
        "9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984"
    )
    assert file["crypto"]["mac"] == (
        "d5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5"
    )


async def test_h23_a_stop_that_comes_while_a_key_is_being_sealed_keeps_it_here(
    bench: Bench,
) -> None:
    wallet = await bench.brought()
    async with bench.safe.keeper.master_key(None, by=BY):
        giving = asyncio.create_task(bench.given(wallet.id))
        await asyncio.wait({giving}, timeout=0.1)
        bench.stopped[wallet.id] = "theft"

    with pytest.raises(SigningStopped):
        await giving
    assert await bench.told(Act.WALLET_EXPORTED) == []


# Through the door


async def test_both_go_through_the_owners_socket_with_a_request_id(bench: Bench) -> None:
    path = bench.root / SOCKET
    async with owner_socket(bench.safe.keeper, path, keys=bench.keys):
        asked = {"command": "import", "private_key": KEY.hex(), "user_id": "ada", "reason": "x"}
        made = json.loads(await said(path, json.dumps(asked).encode() + b"\n"))
        wanted = {"command": "export", "wallet_id": ADDRESS, "file_passphrase": FILE.decode()}
        given = json.loads(await said(path, json.dumps(wanted).encode() + b"\n"))
        garbage = json.loads(await said(path, b'{"command":"import","private_key":"0x12"}\n'))

    assert (made["ok"], made["address"], made["is_watched"]) == (True, ADDRESS, True)
    assert opened_keystore(given["keystore"], FILE) == KEY
    assert (garbage["ok"], garbage["code"]) == (False, "LUCID_ERR_1000")
    told = await bench.told(Act.WALLET_IMPORTED, Act.WALLET_EXPORTED)
    assert len({one.request_id for one in told} - {""}) == 2


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"label": "x" * 121}, "label"),
        ({"label": "till\u202e2"}, "label"),
        ({"label": "till\n2"}, "label"),
        ({"label": "\ud800"}, "label"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a" * 256}, "user_id"),
        ({"user_id": "ada\x00"}, "user_id"),
    ],
)
async def test_an_imported_wallet_is_named_by_the_rules_of_every_other(
    bench: Bench, said: dict[str, str], field: str
) -> None:
    owned = Owned(bench.safe.keeper, bench.keys)
    asked = {"command": "import", "private_key": KEY.hex(), "user_id": "ada", **said}

    answer = await answered(owned, json.dumps(asked).encode(), by=BY)

    assert (answer["ok"], answer["code"]) == (False, InvalidFields.code)
    assert answer["detail"].startswith(f"{field}: ")
    assert len(await bench.till.store.sealed_secrets()) == 2


async def test_names_of_an_imported_wallet_are_composed_as_those_of_every_other(
    bench: Bench,
) -> None:
    owned = Owned(bench.safe.keeper, bench.keys)
    asked = {"command": "import", "private_key": KEY.hex(), "user_id": "Zoe\u0308", "label": "a"}

    answer = await answered(owned, json.dumps(asked).encode(), by=BY)

    assert (await bench.till.wallets.find(answer["wallet_id"])).user_id == "Zo\u00eb"


async def test_beside_a_stopped_service_no_key_moves(bench: Bench) -> None:
    answer = await answered(Owned(bench.safe.keeper), b'{"command":"export"}', by=BY)

    assert (answer["ok"], answer["code"]) == (False, Unavailable.code)


async def test_who_has_to_agree_is_told_where(four_eyes: Bench) -> None:
    wallet = await four_eyes.till.treasury()
    asked = {"command": "export", "wallet_id": wallet.id, "file_passphrase": FILE.decode()}
    owned = Owned(four_eyes.safe.keeper, four_eyes.keys)

    answer = await answered(owned, json.dumps(asked).encode(), by=BY)

    assert answer["code"] == ApprovalNeeded.code
    assert "/api/v1/approvals/apr_" in answer["detail"]


async def commanded(bench: Bench, *arguments: str, typed: Sequence[str]) -> Terminal:
    """Run a command of the owner beside the running service."""
    settings = settings_in(bench.root / "data", Settings)
    path, terminal = door_of(settings), Terminal(typed=list(typed))
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    given = parser().parse_args(["key", *arguments])
    async with owner_socket(bench.safe.keeper, path, keys=bench.keys):
        await asyncio.to_thread(
            tend_keys, settings, given, show=terminal.shown.append, ask=terminal.ask
        )
    return terminal


async def test_the_commands_take_secrets_from_the_terminal_and_write_a_private_file(
    bench: Bench,
) -> None:
    path = bench.root / "wallet.json"
    brought = await commanded(bench, "import", "--user-id", "ada", typed=[KEY.hex()])
    file = FILE.decode()
    written = await commanded(bench, "export", ADDRESS, str(path), typed=[file, file])

    assert ADDRESS in brought.shown[0]
    assert KEY.hex() not in "".join(brought.shown + written.shown)
    assert path.stat().st_mode & 0o777 == 0o600
    assert opened_keystore(json.loads(path.read_text()), FILE) == KEY


async def test_an_export_overwrites_nothing_and_a_refused_one_leaves_no_file(bench: Bench) -> None:
    path, file = bench.root / "wallet.json", FILE.decode()
    with pytest.raises(Refused):
        await commanded(bench, "export", "wal_none", str(path), typed=[file, file])
    assert not path.exists()
    wallet = await bench.brought()
    path.write_text("something of mine")
    link = bench.root / "link.json"
    link.symlink_to(bench.root / "target.json")

    for taken in (path, link):
        with pytest.raises(FileExistsError):
            await commanded(bench, "export", wallet.id, str(taken), typed=[file, file])
    assert path.read_text() == "something of mine"
    assert not (bench.root / "target.json").exists()
    assert await bench.told(Act.WALLET_EXPORTED) == []


async def test_without_the_service_a_command_says_so_before_it_asks_for_a_key(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path, Settings)
    given = parser().parse_args(["key", "import", "--user-id", "ada"])
    terminal = Terminal()

    with pytest.raises(Unavailable, match="not running"):
        tend_keys(settings, given, show=terminal.shown.append, ask=terminal.ask)
    assert terminal.prompts == []
