"""How sends, wallets and positions look on the wire."""

from services.wallet_manager.domain.books import JournalEntryLine, Position
from services.wallet_manager.domain.sends import Send
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from shared.clock import rfc3339
from shared.models.wallet_manager import (
    AddressView,
    BalanceView,
    JournalLine,
    RefusalView,
    SendParams,
    SendView,
    WalletView,
)
from shared.models.wire import time_or_none
from shared.money import format_base_units


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
        kind=send.kind,
        params=SendParams(
            amount_base_units=str(send.amount),
            recipient=send.recipient,
            contract_address=send.contract,
            resource=send.resource.value if send.resource else None,
        ),
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


def wallet_view(wallet: Wallet) -> WalletView:
    """Return a wallet without anything of its keys."""
    return WalletView(
        wallet_id=wallet.id,
        address=wallet.address,
        user_id=wallet.user_id,
        wallet_type="hot",
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
