"""Every answer that is not a success is a problem document (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.errors import (
    BadCursor,
    BadRequest,
    Conflict,
    InternalError,
    InvalidFields,
    NotFound,
    Problem,
    Unauthenticated,
    Unavailable,
)
from shared.logs import get_logger, request_id
from shared.storage import (
    GuardFailed,
    InvalidCursor,
    StorageBusy,
    StorageClosed,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUncertain,
    StorageUnreachable,
    StorageUnwritable,
    StorageWithheld,
)

log = get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

_MAX_ERRORS: Final = 20
_MAX_NAME_CHARACTERS: Final = 100


class ProblemDocument(BaseModel):
    """What every error answer looks like; further members are facts of the case."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str


class MethodNotAllowed(BadRequest):
    """The path exists, the method does not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "LUCID_ERR_1301"
    title = "Method not allowed"


def problem_response(
    problem: Problem, *, path: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Render a problem for a request path."""
    headers = dict(headers or {})
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.document(request_id=request_id.get(), instance=path),
        status_code=int(problem.status),
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def invalid_fields(errors: Sequence[Any]) -> InvalidFields:
    """Turn validation errors into fields and reasons, never repeating what was sent."""
    fields = []
    for error in errors[:_MAX_ERRORS]:
        place = [str(part)[:_MAX_NAME_CHARACTERS] for part in error["loc"][1:]]
        message = str(error["msg"]).removeprefix("Value error, ")
        fields.append({"field": ".".join(place) or "body", "message": message})
    return InvalidFields(fields)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return problem_response(error, path=request.url.path)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem_response(invalid_fields(error.errors()), path=request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    problem: Problem
    if isinstance(error.__cause__, Problem):  # raised while the body was read
        return problem_response(error.__cause__, path=request.url.path)
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            problem = NotFound("there is nothing at this path")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            problem = MethodNotAllowed("this path does not take this method")
        case _:
            problem = BadRequest(str(error.detail))
    return problem_response(problem, path=request.url.path, headers=error.headers)


async def _on_storage(request: Request, error: Exception) -> JSONResponse:
    problem: Problem
    match error:
        case InvalidCursor():
            problem = BadCursor("this cursor was not issued by this list")
        case StorageUncertain():
            log.error("storage.uncertain")
            problem = Unavailable(
                "the database went away over this, so it may be stored or not; repeat it with the same"
                " idempotency key",
                retry_after_s=5,
            )
        case (
            StorageBusy()
            | StorageFull()
            | StorageUnwritable()
            | StorageClosed()
            | StorageUnreachable()
            | StorageRefused()
            | StorageWithheld()
        ):
            log.error("storage.refused", error=type(error).__name__)
            problem = Unavailable(
                "the database cannot take this now; nothing was stored", retry_after_s=2
            )
        case GuardFailed():
            problem = Conflict(
                "this changed while it was being worked on; try again", retry_after_s=1
            )
        case _:
            return crash_response(error, path=request.url.path)
    return problem_response(problem, path=request.url.path)


def crash_response(error: Exception, *, path: str) -> JSONResponse:
    """Log a defect of ours, and render what its caller is told of it: nothing but where to look."""
    log.error("request.crashed", path=path, exc_info=error)
    problem = InternalError("something went wrong here; the log has it under this request id")
    return problem_response(problem, path=path)


def install(app: FastAPI) -> None:
    """Make the application answer every expected error with a problem document.

    What nobody expected is answered by the edge, where the request id is still known.
    """
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(StorageError, _on_storage)


def declares(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Declare on a route, for OpenAPI, which problems it answers with."""
    declared: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        told = f"{problem.title} ({problem.code})"
        entry = declared.setdefault(
            int(problem.status),
            {
                "description": told,
                "content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}},
            },
        )
        if told not in entry["description"]:
            entry["description"] += f"; {told}"
    return declared
