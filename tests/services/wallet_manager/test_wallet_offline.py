"""Bytes that leave unsigned: exported, completed elsewhere, followed until a verdict (H7)."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.sends import (
    ForeignSignature,
    NotAwaitingSignature,
    NotCancellable,
    Send,
)
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.wallets import CannotSign
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from shared.clock import HeldClock
from shared.models.tron_client import (
    AccountView,
    PermissionKeyView,
    PermissionsView,
    PermissionView,
)
from shared.models.tron_transactions import OutgoingView, SignedTransaction, TransactionState
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.tron.address import Address
from shared.tron.decoding import decode_raw_data
from shared.tron.signing import SigningKey
from tests.services.wallet_manager.till import (
    TRX,
    Chain,
    Till,
    block,
    fate,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS

ONE, TWO, STRANGE = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
LIFETIME_MS = 23 * 3_600_000
REFERENCE_HEIGHT = 80
"""What the played chain names, unless it is to say another one."""


def permission(number: int, threshold: int, *keys: SigningKey) -> PermissionView:
    return PermissionView(
        permission_id=number,
        name="pay",
        threshold=threshold,
        operations=None,
        keys=[PermissionKeyView(address=key.address, weight=1) for key in keys],
    )


async def awaited(till: Till) -> Send:
    """Have a send built for the permission of two keys, both needed."""
    await till.treasury()
    till.chain.permissions = PermissionsView(
        owner=permission(0, 1, STRANGE), witness=None, active=[permission(2, 2, ONE, TWO)]
    )
    return await till.signed(intent().model_copy(update={"permission_id": 2}))


async def signed_by(till: Till, send: Send, *keys: SigningKey) -> list[str]:
    attempt = (await till.attempts(send))[-1]
    digest = sha256(bytes.fromhex(attempt.raw_data)).digest()
    return [key.sign(digest).hex() for key in keys]


async def test_h7_unsigned_bytes_are_an_attempt_with_its_hold(till: Till) -> None:
    send = await awaited(till)
    exported = await till.offline.unsigned(send.id, by="ada")
    said = decode_raw_data(bytes.fromhex(exported.attempt.raw_data))

    assert send.state is SendState.AWAITING_SIGNATURE
    assert exported.attempt.id == send.txid
    assert exported.attempt.signatures == []
    assert (exported.weight, exported.threshold) == (0, 2)
    assert said.permission_id == 2
    assert said.expiration_ms == START_MS + LIFETIME_MS
    assert (await till.position(send.owner, Currency.USDT)).held == 25 * TRX
    await till.sender.submit_signed()
    assert till.chain.received == []


async def test_h7_what_left_cannot_be_cancelled(till: Till) -> None:
    send = await awaited(till)

    with pytest.raises(NotCancellable):
        await till.oversight.cancel(send.id, reason="changed my mind", by="ada")


async def test_h7_signatures_are_collected_to_the_threshold(till: Till) -> None:
    send = await awaited(till)
    one, two = await signed_by(till, send, ONE, TWO)

    assert not (await till.offline.add(send.id, [one, one], by="ada")).is_complete
    assert (await till.read(send.send_key)).waiting_for == "signatures: 1 of 2 are there"
    assert (await till.offline.add(send.id, [two], by="ada")).is_complete
    await till.sender.submit_signed()

    assert (await till.read(send.send_key)).state is SendState.SUBMITTED
    (given,) = till.chain.received
    assert given.signatures == [one, two]


async def test_h7_a_signature_of_nobody_who_may_sign_is_refused(till: Till) -> None:
    send = await awaited(till)
    one, strange = await signed_by(till, send, ONE, STRANGE)
    of_others = ONE.sign(sha256(b"another transaction").digest()).hex()

    for wrong in (strange, of_others, "00" * 65, "00" * 64, ""):
        with pytest.raises(ForeignSignature):
            await till.offline.add(send.id, [one, wrong], by="ada")
    assert (await till.offline.unsigned(send.id, by="ada")).signers == ()


async def test_h7_forged_permissions_get_nothing_signed_here(till: Till) -> None:
    """Whoever forges them gets at most a transaction that the chain refuses: no key here is used."""
    send = await awaited(till)
    till.chain.permissions = PermissionsView(
        owner=permission(0, 1, STRANGE), witness=None, active=[permission(2, 1, STRANGE)]
    )
    (forged,) = await signed_by(till, send, STRANGE)
    await till.offline.add(send.id, [forged], by="ada")
    (attempt,) = await till.attempts(send)

    assert attempt.signatures == [forged]
    assert (await till.position(send.owner, Currency.USDT)).held == 25 * TRX


async def test_h7_bytes_that_were_completed_elsewhere_are_found_on_chain(till: Till) -> None:
    send = await awaited(till)
    (attempt,) = await till.attempts(send)
    signatures = await signed_by(till, send, ONE, TWO)
    landed = SignedTransaction(
        send_key=send.send_key,
        raw_data=attempt.raw_data,
        signatures=signatures,
        expires_at_ms=attempt.expires_at_ms,
    )
    till.chain.lands(landed, height=90)
    till.clock.advance(milliseconds=LIFETIME_MS)
    solid = block(95, START_MS + LIFETIME_MS)
    till.chain.context_says = {"solid": solid}
    await till.offline.follow()
    await till.sender.submit_signed()
    now = await till.read(send.send_key)
    await till.verdicts(fate(now, TransactionState.CONFIRMED))

    assert till.chain.received[-1].signatures == signatures
    assert (await till.read(send.send_key)).state is SendState.CONFIRMED
    assert (await till.position(send.owner, Currency.USDT)).settled == 975 * TRX


async def test_h7_bytes_that_nobody_completed_give_their_hold_back_after_the_proof(
    till: Till,
) -> None:
    send = await awaited(till)
    till.clock.advance(milliseconds=LIFETIME_MS)
    till.chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS - 1)}
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE

    till.chain.blocks_at_once = 4
    till.chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS)}
    await till.offline.follow()

    ended = await till.read(send.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.EXPIRED, "expired")
    assert till.chain.looked_at[-1][1] == 95
    assert (await till.position(send.owner, Currency.USDT)).held == 0
    assert (await till.position(send.owner, Currency.TRX)).held == 0


async def test_h1_nothing_has_expired_before_the_local_clock_says_so(till: Till) -> None:
    send = await awaited(till)
    till.chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS)}
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE

    till.clock.advance(milliseconds=LIFETIME_MS)
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.EXPIRED


async def test_h7_complete_bytes_that_tron_client_refuses_end_with_their_time(till: Till) -> None:
    """The permission was changed, or forged, after the signatures were taken in."""
    send = await awaited(till)
    await till.offline.add(send.id, await signed_by(till, send, ONE, TWO), by="ada")
    till.chain.refuses = {send.send_key}
    await till.sender.submit_signed()
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.SIGNED

    till.clock.advance(milliseconds=LIFETIME_MS)
    till.chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS)}
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.EXPIRED
    assert (await till.position(send.owner, Currency.USDT)).held == 0


async def test_h7_complete_bytes_that_landed_do_not_expire(till: Till) -> None:
    send = await awaited(till)
    await till.offline.add(send.id, await signed_by(till, send, ONE, TWO), by="ada")
    till.chain.loses_replies = 1
    with pytest.raises(PeerUnavailable):
        await till.sender.submit_signed()
    till.chain.lands(till.chain.received[-1], height=90)
    till.clock.advance(milliseconds=LIFETIME_MS)
    till.chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS)}
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.SIGNED


class ChainThatForgotItsOldestBlocks(Chain):
    """Its node keeps the last blocks alone, as a lite node does."""

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        if first_height < REFERENCE_HEIGHT:
            raise PeerUnavailable("the node does not have that block")
        return await super().outgoing(owners, first_height=first_height, last_height=last_height)


async def test_h7_one_that_cannot_be_looked_for_keeps_no_other_from_its_end(tmp_path: Path) -> None:
    storage, clock = await open_storage(tmp_path), HeldClock(START_MS)
    chain = ChainThatForgotItsOldestBlocks(clock)
    till = till_on(
        storage, clock=clock, chain=chain, vault=vault(), ids=itertools.count(1), rules=rules()
    )
    await till.begins()
    chain.context_says = {"reference": block(REFERENCE_HEIGHT - 10)}
    old = await awaited(till)
    chain.context_says = {}
    new = await till.signed(intent("new").model_copy(update={"permission_id": 2}))
    clock.advance(milliseconds=LIFETIME_MS)
    chain.context_says = {"solid": block(95, START_MS + LIFETIME_MS)}

    with pytest.raises(PeerUnavailable):
        await till.offline.follow()
    assert (await till.read(old.send_key)).state is SendState.AWAITING_SIGNATURE
    assert (await till.read(new.send_key)).state is SendState.EXPIRED
    await storage.close()


async def test_only_what_waits_for_signatures_is_exported(till: Till) -> None:
    await till.treasury()
    send = await till.signed(intent())

    with pytest.raises(NotAwaitingSignature):
        await till.offline.unsigned(send.id, by="ada")


async def test_h7_what_leaves_and_what_comes_back_is_written_down(till: Till) -> None:
    send = await awaited(till)
    one, two = await signed_by(till, send, ONE, TWO)

    await till.offline.unsigned(send.id, by="ada")
    await till.offline.add(send.id, [one], by="bob")
    await till.offline.add(send.id, [one, two], by="carol")

    audit = Audit(store=till.store, clock=till.clock)
    told = [each async for _, _, each in audit.decisions(after=0, limit=100)]
    assert [
        (each.act, each.subject, each.who, dict(each.facts).get("signers")) for each in told[-3:]
    ] == [
        (Act.SEND_EXPORTED, send.id, "ada", None),
        (Act.SEND_COMPLETED, send.id, "bob", ONE.address),
        (Act.SEND_COMPLETED, send.id, "carol", TWO.address),
    ]
    assert {dict(each.facts)["txid"] for each in told[-3:]} == {send.txid}
    assert dict(told[-1].facts)["weight"] == "2 of 2"


class ChainThatIsAskedWhileAWalletIsLocked(Chain):
    """Somebody locks every wallet before an answer about an account arrives."""

    store: WalletStore | None = None

    async def account(self, address: Address) -> AccountView:
        answer = await super().account(address)
        wallet = await self.store.wallet_by_address(address) if self.store else None
        if self.store is not None and wallet is not None:
            await self.store.save_wallet(wallet.locked())
        return answer


async def test_a_wallet_that_is_locked_while_the_chain_is_asked_takes_no_signature(
    tmp_path: Path,
) -> None:
    storage, clock = await open_storage(tmp_path), HeldClock(START_MS)
    chain = ChainThatIsAskedWhileAWalletIsLocked(clock)
    till = till_on(
        storage, clock=clock, chain=chain, vault=vault(), ids=itertools.count(1), rules=rules()
    )
    await till.begins()
    send = await awaited(till)
    signatures = await signed_by(till, send, ONE, TWO)
    chain.store = till.store

    with pytest.raises(CannotSign):
        await till.offline.add(send.id, signatures, by="ada")
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE
    await storage.close()


async def test_h23_nothing_leaves_to_be_signed_elsewhere_while_signing_is_stopped(
    tmp_path: Path,
) -> None:
    stopped: list[str] = []
    storage, clock = await open_storage(tmp_path), HeldClock(START_MS)
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        held_back=lambda _: next(iter(stopped), None),
    )
    await till.begins()
    send = await awaited(till)
    (one,) = await signed_by(till, send, ONE)

    stopped.append("theft")
    with pytest.raises(SigningStopped):
        await till.offline.unsigned(send.id, by="ada")
    with pytest.raises(SigningStopped):
        await till.offline.add(send.id, [one], by="ada")

    stopped.clear()
    assert (await till.offline.unsigned(send.id, by="ada")).signers == ()
    await storage.close()


class ChainThatAnswersLate(Chain):
    """Says who may sign only after something else has happened."""

    def __init__(self, clock: HeldClock, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(clock)
        self._meanwhile = meanwhile

    async def account(self, address: Address) -> AccountView:
        told = await super().account(address)
        await self._meanwhile()
        return told


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "locked"])
async def test_h23_a_stop_while_the_chain_is_asked_lets_nothing_out_and_nothing_through(
    tmp_path: Path, *, is_stopped: bool
) -> None:
    stopped: list[str] = []
    storage, clock = await open_storage(tmp_path), HeldClock(START_MS)

    async def meanwhile() -> None:
        if is_stopped:
            stopped.append("theft")
        else:
            await till.store.save_wallet((await till.wallets.find(send.wallet_id)).locked())

    till = till_on(
        storage,
        clock=clock,
        chain=ChainThatAnswersLate(clock, meanwhile),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        held_back=lambda _: next(iter(stopped), None),
    )
    await till.begins()
    send = await awaited(till)
    with pytest.raises(SigningStopped if is_stopped else CannotSign):
        await till.offline.add(send.id, await signed_by(till, send, ONE, TWO), by="ada")
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE
    stopped.clear()
    if is_stopped:
        with pytest.raises(SigningStopped):
            await till.offline.unsigned(send.id, by="ada")
    await storage.close()
