"""Routes of what guards the keys: policy, approvals, the kill switch, the audit log."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from services.wallet_manager.domain.approvals import (
    SCOPE_TO_AGREE,
    ApprovalNeeded,
    ApprovalOver,
    NotForYou,
    UnknownApproval,
)
from services.wallet_manager.domain.rulebook import InvalidPolicy, PolicyMoved
from services.wallet_manager.domain.wallets import UnknownWallet
from services.wallet_manager.routes.callers import Admin, Limit, Reader, Service
from services.wallet_manager.service.guardviews import (
    approval_view,
    audited_view,
    check_view,
    policy_view,
    rulebook_of,
    stop_view,
)
from shared.errors import BadCursor, InvalidFields, NotFound, Unavailable
from shared.models.wallet_policy import (
    ApprovalListView,
    ApprovalView,
    AuditCheckRequest,
    AuditCheckView,
    AuditListView,
    PolicyRequest,
    PolicyView,
    StandingStopView,
    StopRequest,
    StopsView,
    StopView,
    VoiceRequest,
)
from shared.web.problems import declares

AuditLimit = Annotated[int, Query(ge=1, le=10_000)]
AuditNumber = Annotated[int, Query(ge=0, le=2**62)]

router = APIRouter(prefix="/api/v1", tags=["guards"])


@router.get("/policies/{scope}", responses=declares(UnknownWallet, Unavailable))
async def policy(service: Service, _: Reader, scope: str) -> PolicyView:
    """Return the policy of a wallet, or with the scope ``all`` that of every other one."""
    found = await service.guards.policy(scope)
    return policy_view(found, service.guards.policies.rules(found))


@router.get("/policies/{scope}/revisions/{revision}", responses=declares(InvalidFields, NotFound))
async def policy_revision(
    service: Service, _: Reader, scope: str, revision: Annotated[int, Path(ge=1)]
) -> PolicyView:
    """Return a policy as one of its changes left it; the audit log says who made that change."""
    found = await service.guards.policies.at_revision(scope, revision)
    return policy_view(found, found.rules)


@router.put(
    "/policies/{scope}",
    responses=declares(
        InvalidFields, InvalidPolicy, PolicyMoved, ApprovalNeeded, UnknownWallet, Unavailable
    ),
)
async def set_policy(
    service: Service, caller: Admin, scope: str, body: PolicyRequest
) -> PolicyView:
    """Change a policy: what is stricter holds at once, what is looser after the cooling-off."""
    await service.guards.policy(scope)
    changed = await service.guards.policies.change(
        scope,
        rulebook_of(body.rules),
        revision=body.revision,
        by=caller.name,
        reason=body.reason,
    )
    return policy_view(changed, service.guards.policies.rules(changed))


@router.get("/approvals", responses=declares(InvalidFields, BadCursor))
async def approvals(
    service: Service, _: Reader, cursor: str | None = None, limit: Limit = 20
) -> ApprovalListView:
    """List requests for approval, newest first."""
    desk = service.guards.approvals
    page = await desk.page(cursor=cursor, limit=limit)
    return ApprovalListView(
        approvals=[approval_view(one, desk.state(one)) for one in page.items], next=page.next
    )


@router.get("/approvals/{approval_id}", responses=declares(UnknownApproval))
async def approval(service: Service, _: Reader, approval_id: str) -> ApprovalView:
    """Return one request with who agreed."""
    found = await service.guards.approvals.find(approval_id)
    return approval_view(found, service.guards.approvals.state(found))


@router.post(
    "/approvals/{approval_id}/agree",
    responses=declares(InvalidFields, UnknownApproval, ApprovalOver, NotForYou),
)
async def agree(
    service: Service, caller: Admin, approval_id: str, body: VoiceRequest
) -> ApprovalView:
    """Agree to a request; the act itself is then asked for again, or signed by itself."""
    asked = await service.guards.approvals.find(approval_id)
    caller.require(SCOPE_TO_AGREE[asked.kind])
    answered = await service.guards.approvals.agree(approval_id, who=caller.name, note=body.note)
    return approval_view(answered, service.guards.approvals.state(answered))


@router.post(
    "/approvals/{approval_id}/deny",
    responses=declares(InvalidFields, UnknownApproval, ApprovalOver),
)
async def deny(
    service: Service, caller: Admin, approval_id: str, body: VoiceRequest
) -> ApprovalView:
    """Turn a request down for good."""
    answered = await service.guards.approvals.deny(approval_id, who=caller.name, note=body.note)
    return approval_view(answered, service.guards.approvals.state(answered))


@router.get("/stops")
async def stops(service: Service, _: Reader) -> StopsView:
    """List what is stopped, and where that is kept."""
    switch = service.guards.switch
    return StopsView(
        stops=[
            StandingStopView(
                scope=scope, reason=switch.why(scope), places=list(switch.places(scope))
            )
            for scope in switch.scopes()
        ]
    )


@router.put(
    "/stops/{scope}",
    responses=declares(InvalidFields, UnknownWallet, ApprovalNeeded, Unavailable),
)
async def set_stop(service: Service, caller: Admin, scope: str, body: StopRequest) -> StopView:
    """Stop the signing for a wallet, or with the scope ``all`` for every one; or let it go on."""
    return stop_view(
        await service.guards.turn(scope, stopped=body.stopped, reason=body.reason, by=caller.name)
    )


@router.get("/audit", responses=declares(InvalidFields, NotFound))
async def audit(
    service: Service, _: Admin, after: AuditNumber = 0, limit: Limit = 20
) -> AuditListView:
    """Return decisions after a number, oldest first."""
    told = [
        audited_view(*each)
        async for each in service.guards.audit.decisions(after=after, limit=limit)
    ]
    return AuditListView(decisions=told, next=told[-1].number if len(told) == limit else None)


@router.get("/audit/export", responses=declares(InvalidFields))
async def export(
    service: Service,
    _: Admin,
    after: AuditNumber = 0,
    limit: AuditLimit = 10_000,
) -> StreamingResponse:
    """Return decisions after a number as lines of JSON; ask again from the last number for more."""
    lines = (
        f"{audited_view(*each).model_dump_json()}\n"
        async for each in service.guards.audit.decisions(after=after, limit=limit)
    )
    return StreamingResponse(lines, media_type="application/x-ndjson")


@router.post("/audit/verify", responses=declares(InvalidFields))
async def verify(service: Service, _: Admin, body: AuditCheckRequest) -> AuditCheckView:
    """Check the whole chain, and that it holds what was written down elsewhere."""
    anchors = [(one.number, one.digest) for one in body.anchors]
    return check_view(await service.guards.audit.verify(anchors=anchors))
