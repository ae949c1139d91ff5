"""tron-client's routes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, StringConstraints

from services.tron_client.abi_reader import NotReadable, UnknownContract
from services.tron_client.domain.accounts import account_view
from services.tron_client.domain.parameters import fees_view, parameters_view
from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.transactions import (
    NotATransaction,
    SentAlready,
    TransactionOfAnother,
    UnknownTransaction,
    block_ref,
    transaction_view,
)
from services.tron_client.node.client import CallAnswer
from services.tron_client.service import Stale, TronClient
from shared.access import Scope
from shared.auth import Principal
from shared.errors import BadCursor, Unavailable
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset
from shared.models.tron_client import (
    AccountView,
    CallsRequest,
    CallsView,
    CallView,
    LookupRequest,
    LookupView,
    NetworkFeesView,
    NetworkInfoView,
    NetworkStatusView,
    SigningContextView,
    SubmitRequest,
    SubmittedView,
    SubmitView,
    TransactionView,
    TransferView,
    WatchListView,
    WatchRequest,
    WatchView,
)
from shared.models.wire import (
    AddressText,
    ConsumerRequest,
    ConsumerView,
    FeedView,
    TxidText,
    View,
)
from shared.models.wire import Request as Body
from shared.tron.address import parse_address
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import requires


class ReadRequest(Body):
    """A view function and what it is given; integers may be strings."""

    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]{0,127}$")]
    arguments: Annotated[list[Any], Field(default_factory=list, max_length=16)]


class ReadView(View):
    """What a view function returned: integers as strings, bytes in hexadecimal."""

    result: Any


def _service(request: Request) -> TronClient:
    return service_of(request, TronClient)


Service = Annotated[TronClient, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.CHAIN_READ)]
Watcher = Annotated[Principal, requires(Scope.CHAIN_WATCH)]
Submitter = Annotated[Principal, requires(Scope.CHAIN_SUBMIT)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S)]
Consumer = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]

router = APIRouter(prefix="/api/v1", tags=["chain"])


@router.get("/tron/network/status")
async def network_status(service: Service, _: Reader) -> NetworkStatusView:
    """Say how the chain looks from here."""
    status = service.status()
    return NetworkStatusView(
        network_status=status.word,
        block_height=status.block_height,
        solid_height=status.solid_height,
        scanned_height=status.scanned_height,
        head_age_s=status.head_age_s,
        network=service.facts.network,
    )


@router.get("/tron/network/info")
async def network_info(service: Service, _: Reader) -> NetworkInfoView:
    """Say which chain this is."""
    facts = service.facts
    return NetworkInfoView(
        network_id=facts.network,
        chain_id=facts.chain_id,
        genesis_block_id=facts.genesis_block_id,
        node_url=service.node_url,
        usdt_contract_address=facts.token,
    )


@router.get("/tron/network/fees", responses=declares(Stale))
async def network_fees(service: Service, _: Reader) -> NetworkFeesView:
    """Say what the chain charges now."""
    return fees_view(service.parameters())


@router.get("/chain/signing-context", responses=declares(Stale, NothingScanned))
async def signing_context(service: Service, _: Reader) -> SigningContextView:
    """Return a solid reference block, the head and the prices."""
    context = service.signing_context()
    return SigningContextView(
        network=service.facts.network,
        genesis_block_id=service.facts.genesis_block_id,
        reference=block_ref(context.progress.solid),
        head=block_ref(context.progress.head),
        parameters=parameters_view(context.parameters),
    )


@router.get("/accounts/{address}", responses=declares(Unavailable))
async def account(service: Service, _: Reader, address: AddressText) -> AccountView:
    """Return an account as a node tells it now."""
    return account_view(await service.account(address))


@router.post("/contracts/calls", responses=declares(Unavailable))
async def calls(service: Service, _: Reader, body: CallsRequest) -> CallsView:
    """Run constant calls; a revert is a result."""
    answers = await service.call(body.calls)
    return CallsView(calls=[_call_view(answer) for answer in answers])


@router.post(
    "/contracts/{address}/read", responses=declares(NotReadable, UnknownContract, Unavailable)
)
async def read_contract(
    service: Service, _: Reader, address: AddressText, body: ReadRequest
) -> ReadView:
    """Call a view function by its name in the contract's own ABI."""
    result = await service.read_contract(address, body.function, body.arguments)
    return ReadView(result=result)


@router.put("/watches", responses=declares(NothingScanned))
async def watch(service: Service, _: Watcher, body: WatchRequest) -> WatchView:
    """Watch addresses; every transfer in a later block than the answer's height will be told."""
    watched = await service.watch(body.addresses)
    return WatchView(watched=watched.count, birth_height=watched.birth_height)


@router.get("/watches", responses=declares(BadCursor))
async def watches(
    service: Service, _: Watcher, cursor: str | None = None, limit: Limit = MAX_PAGE
) -> WatchListView:
    """Return a page of the watch list, ordered by address."""
    page = await service.watch_page(cursor=cursor, limit=limit)
    return WatchListView(
        addresses=[parse_address(each.id) for each in page.items],
        count=service.watch_count(),
        next=page.next,
    )


@router.get("/transfers/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def transfers(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[TransferView]:
    """Return transfers of watched addresses after a cursor, waiting for one if there is none."""
    return await service.transfers.page(after=after, limit=limit, wait_s=wait_s)


@router.put("/transfers/feed/consumers/{name}", responses=declares(BadCursor, FeedReset, FeedLost))
async def acknowledge_transfers(
    service: Service, _: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of transfers has durably come."""
    await service.transfers.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.post(
    "/transactions",
    responses=declares(NotATransaction, TransactionOfAnother, SentAlready, NothingScanned),
)
async def submit(service: Service, _: Submitter, body: SubmitRequest) -> SubmitView:
    """Store signed transactions and bring them to the chain; repeats are harmless."""
    taken = await service.submit(body.transactions)
    return SubmitView(
        transactions=[
            SubmittedView(
                txid=each.id,
                outcome=each.outcome,
                code=each.outcome_code,
                message=each.outcome_message,
            )
            for each in taken
        ]
    )


@router.get("/transactions/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def verdicts(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[TransactionView]:
    """Return what became of submitted transactions after a cursor."""
    return await service.verdicts.page(after=after, limit=limit, wait_s=wait_s)


@router.put(
    "/transactions/feed/consumers/{name}", responses=declares(BadCursor, FeedReset, FeedLost)
)
async def acknowledge_verdicts(
    service: Service, _: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of verdicts has durably come."""
    await service.verdicts.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.post("/transactions/lookup")
async def lookup(service: Service, _: Reader, body: LookupRequest) -> LookupView:
    """Return those of up to a thousand transactions that were submitted here."""
    found = await service.lookup(body.txids)
    return LookupView(transactions=[transaction_view(each) for each in found])


@router.get("/transactions/{txid}", responses=declares(UnknownTransaction))
async def transaction(
    service: Service, _: Reader, txid: TxidText, wait_s: Wait = 0
) -> TransactionView:
    """Return a submitted transaction, waiting for its verdict if asked to."""
    return transaction_view(await service.transaction(txid, wait_s=wait_s))


def _call_view(answer: CallAnswer) -> CallView:
    return CallView(
        result=answer.output,
        energy_used=answer.energy_used,
        energy_penalty=answer.energy_penalty,
        reverted=answer.is_reverted,
        revert_reason=answer.reason(),
    )
