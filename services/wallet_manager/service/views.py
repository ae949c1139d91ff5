"""How sends, wallets and positions look on the wire."""

from services.wallet_manager.domain.awaited import Awaited
from services.wallet_manager.domain.books import JournalEntryLine, Position, Recomputed
from services.wallet_manager.domain.fees import Prices
from services.wallet_manager.domain.meaning import details_from
from services.wallet_manager.domain.reconciliation import Finding
from services.wallet_manager.domain.recovery import Unclaimed
from services.wallet_manager.domain.sends import Send
from services.wallet_manager.domain.stuck import Stuck
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.service.holdings import Holdings
from shared.clock import rfc3339
from shared.models.tron_client import SigningContextView
from shared.models.wallet_books import (
    FindingView,
    JournalLine,
    RecomputedView,
    UnclaimedView,
    WrongPositionView,
)
from shared.models.wallet_manager import (
    AddressView,
    BalanceView,
    HoldingsView,
    HoldingView,
    WalletView,
)
from shared.models.wallet_sends import (
    RefusalView,
    SendParams,
    SendView,
    StuckSendView,
    UnsignedView,
)
from shared.models.wire import time_or_none
from shared.money import format_base_units


def prices_of(context: SigningContextView) -> Prices:
    """Return what the chain charges, as tron-client tells it."""
    told = context.parameters
    return Prices(
        energy_fee_sun=told.energy_fee_sun,
        bandwidth_fee_sun=told.bandwidth_fee_sun,
        activation_fee_sun=told.activation_fee_sun,
        activation_bandwidth_fee_sun=told.activation_bandwidth_fee_sun,
        memo_fee_sun=told.memo_fee_sun,
        multi_sign_fee_sun=told.multi_sign_fee_sun,
        permission_update_fee_sun=told.permission_update_fee_sun,
        max_fee_limit_sun=told.max_fee_limit_sun,
    )


def send_view(send: Send) -> SendView:
    """Return a send as it stands."""
    refusal = None
    if send.refusal_rule is not None:
        refusal = RefusalView(rule=send.refusal_rule, detail=send.refusal_detail or "")
    return SendView(
        send_id=send.id,
        send_key=send.send_key,
        state=send.state,
        purpose=send.purpose,
        wallet_id=send.wallet_id,
        from_address=send.owner if send.leaf else None,
        kind=send.kind,
        params=_params(send),
        txid=send.txid,
        attempt=send.attempt,
        expires_at=time_or_none(send.expires_at_ms),
        fee_limit_sun=str(send.fee_limit_sun),
        fee_sun=None if send.fee_sun is None else str(send.fee_sun),
        block_height=send.block_height,
        waiting_for=send.waiting_for,
        refusal=refusal,
        created_at=rfc3339(send.created_at_ms),
        updated_at=rfc3339(send.updated_at_ms),
    )


def _params(send: Send) -> SendParams:
    details = details_from(send.details) if send.details else None
    return SendParams(
        amount_base_units=str(send.amount),
        recipient=send.recipient,
        contract_address=send.contract,
        resource=send.resource.value if send.resource else None,
        lock_blocks=details.lock_blocks if details else None,
        votes=details.votes if details else None,
        permissions=details.permissions if details else None,
        data=details.data if details else None,
    )


def wallet_view(wallet: Wallet) -> WalletView:
    """Return a wallet without anything of its keys."""
    return WalletView(
        wallet_id=wallet.id,
        address=wallet.address,
        user_id=wallet.user_id,
        wallet_type=wallet.type.value,
        role=wallet.role,
        status=wallet.status,
        label=wallet.label,
        network=wallet.network,
        derivation_path=wallet.derivation_path,
        created_at=rfc3339(wallet.created_at_ms),
    )


def address_view(address: DepositAddress, *, birth_height: int) -> AddressView:
    """Return a deposit address that is being watched."""
    return AddressView(
        address=address.id,
        wallet_id=address.wallet_id,
        index=address.index,
        derivation_path=address.path,
        birth_height=birth_height,
    )


def balance_view(wallet_id: str, position: Position) -> BalanceView:
    """Return what the journal says of an address in one currency."""
    return BalanceView(
        wallet_id=wallet_id,
        address=position.address,
        balance=format_base_units(max(position.settled, 0)),
        balance_base_units=str(max(position.settled, 0)),
        available=format_base_units(max(position.available, 0)),
        available_base_units=str(max(position.available, 0)),
        held=format_base_units(position.held),
        held_base_units=str(position.held),
        currency=position.currency,
    )


def holdings_view(wallet_id: str, holdings: Holdings) -> HoldingsView:
    """Return what an address holds, on chain and in the books."""
    account, told = holdings.told.account, holdings.told
    return HoldingsView(
        wallet_id=wallet_id,
        address=holdings.address,
        activated=account.activated,
        block_height=told.head.height,
        block_time=rfc3339(told.head.timestamp_ms),
        age_s=told.age_s,
        holdings=[_holding_view(*line) for line in holdings.lines()],
        resources=account.resources,
        staked=account.frozen,
        delegated=account.delegated,
        received=account.received,
        unfreezing=account.unfreezing,
        votes=account.votes,
    )


def _holding_view(position: Position, on_chain: int | None) -> HoldingView:
    return HoldingView(
        account=position.account,
        currency=position.currency,
        on_chain=None if on_chain is None else format_base_units(on_chain),
        on_chain_base_units=None if on_chain is None else str(on_chain),
        recorded=format_base_units(max(position.settled, 0)),
        recorded_base_units=str(max(position.settled, 0)),
        held_base_units=str(position.held),
    )


def finding_view(finding: Finding) -> FindingView:
    """Return how an account compared with the chain."""
    return FindingView(
        account=finding.id.rpartition(":")[0],
        currency=finding.currency,
        books_base_units=str(finding.books),
        chain_base_units=str(finding.chain),
        difference_base_units=str(finding.difference),
        in_flight_base_units=str(finding.in_flight),
        explained=finding.is_explained,
        looks=finding.looks,
        since_height=finding.since_height,
        since=time_or_none(finding.since_ms),
        height=finding.height,
        at=rfc3339(finding.at_ms),
        causes=list(finding.causes()),
    )


def recomputed_view(recomputed: Recomputed) -> RecomputedView:
    """Return what came of computing balances again."""
    return RecomputedView(
        positions=recomputed.positions,
        wrong=[
            WrongPositionView(
                account=one.position.account,
                currency=one.position.currency,
                settled_base_units=str(one.position.settled),
                journal_base_units=str(one.settled),
                held_base_units=str(one.position.held),
                sends_base_units=str(one.held),
            )
            for one in recomputed.wrong
        ],
    )


def unclaimed_view(found: Unclaimed) -> UnclaimedView:
    """Return a transaction that was found unexplained."""
    return UnclaimedView(
        txid=found.id,
        owner=found.owner,
        does=found.facts,
        height=found.height,
        succeeded=found.succeeded,
        state=found.state.value,
        send_id=found.claimed_by,
        note=found.note,
        found_at=rfc3339(found.found_ms),
    )


def journal_line(line: JournalEntryLine) -> JournalLine:
    """Return one line of the journal; ``amount_base_units`` keeps its sign."""
    return JournalLine(
        entry_id=line.entry_id,
        at=rfc3339(line.at_ms),
        kind=line.kind,
        account=line.account,
        currency=line.currency,
        amount_base_units=str(line.amount),
        txid=line.txid,
    )


def stuck_view(send: Send, why: Stuck) -> StuckSendView:
    """Return a send that does not come on by itself."""
    return StuckSendView(
        send=send_view(send), since=rfc3339(why.since_ms), reason=why.reason, advice=why.advice
    )


def unsigned_view(awaited: Awaited) -> UnsignedView:
    """Return a transaction that is to be signed elsewhere."""
    return UnsignedView(
        send_id=awaited.send.id,
        txid=awaited.attempt.id,
        raw_data=awaited.attempt.raw_data,
        owner=awaited.attempt.owner,
        permission_id=awaited.send.permission_id,
        threshold=awaited.threshold,
        weight=awaited.weight,
        signers=list(awaited.signers),
        expires_at=rfc3339(awaited.attempt.expires_at_ms),
    )
