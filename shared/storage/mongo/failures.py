"""What failures of the driver mean to the caller, and which of them pass."""

import random
from collections.abc import Callable, Mapping
from typing import Final

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from shared.storage.errors import (
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnreachable,
    StorageUnsuitable,
)

TRANSIENT: Final = "TransientTransactionError"
UNKNOWN_COMMIT: Final = "UnknownTransactionCommitResult"
RETRYABLE: Final = "RetryableWriteError"

UNAUTHORIZED: Final = 13
AUTHENTICATION_FAILED: Final = 18
NAMESPACE_EXISTS: Final = 48
WRITE_CONCERN_TIMEOUT: Final = 64
WRITE_CONFLICT: Final = 112
VALIDATION_FAILED: Final = 121
SNAPSHOT_TOO_OLD: Final = 239
DUPLICATE_KEY: Final = 11_000
AUTHENTICATION_MECHANISM_FAILED: Final = 8_000
OUT_OF_DISK_SPACE: Final = 14_031

FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.5
GROWTH: Final = 1.5
MAX_TOLD_CHARS: Final = 200


def code_of(error: PyMongoError) -> int | None:
    """Return the server's error code, of the first refused write where there are several."""
    if isinstance(error, BulkWriteError):
        refused = [
            *error.details.get("writeErrors", ()),
            *error.details.get("writeConcernErrors", ()),
        ]
        return int(refused[0]["code"]) if refused else None
    return error.code if isinstance(error, OperationFailure) else None


def is_passing(error: PyMongoError) -> bool:
    """Tell whether an idempotent call may succeed when it is made again."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WaitQueueTimeoutError):
        return True
    labelled = error.has_error_label(TRANSIENT) or error.has_error_label(RETRYABLE)
    return labelled or code_of(error) in {WRITE_CONFLICT, WRITE_CONCERN_TIMEOUT}


def meaning(place: str, error: PyMongoError) -> StorageError:
    """Say what a failure means to the caller; no message of the driver's shows a credential."""
    code, told = code_of(error), _brief(error)
    if code in _BY_CODE:
        return _BY_CODE[code](place, told)
    if isinstance(error, WaitQueueTimeoutError | ExecutionTimeout):
        return StorageBusy(f"{place} is too busy: {type(error).__name__}")
    if isinstance(error, ConnectionFailure):
        return StorageUnreachable(place, f"{type(error).__name__}: {told}")
    if isinstance(error, ConfigurationError):
        return StorageUnsuitable(place, f"the driver refuses it: {type(error).__name__}")
    return StorageError(f"{place}: {type(error).__name__} {code or ''}: {told}")


def _wrong_credentials(place: str, _told: str) -> StorageError:
    return StorageRefused(place, "the user or the password is wrong")


def _wrong_role(place: str, told: str) -> StorageError:
    return StorageRefused(place, f"the user's role does not allow this: {told}")


def _full(place: str, _told: str) -> StorageError:
    return StorageFull(place)


def _invalid(place: str, _told: str) -> StorageError:
    return StorageCorrupt(place, "the server's validator refused a document of ours")


def _forgotten(place: str, _told: str) -> StorageError:
    fix = "raise minSnapshotHistoryWindowInSeconds"
    return StorageBusy(f"{place} keeps its history for too short a time for this read: {fix}")


def _contended(place: str, told: str) -> StorageError:
    return StorageBusy(f"{place} is too busy: {told}")


_BY_CODE: Final[Mapping[int | None, Callable[[str, str], StorageError]]] = {
    UNAUTHORIZED: _wrong_role,
    AUTHENTICATION_FAILED: _wrong_credentials,
    AUTHENTICATION_MECHANISM_FAILED: _wrong_credentials,
    OUT_OF_DISK_SPACE: _full,
    VALIDATION_FAILED: _invalid,
    SNAPSHOT_TOO_OLD: _forgotten,
    WRITE_CONFLICT: _contended,
    WRITE_CONCERN_TIMEOUT: _contended,
}


def pause_s(attempt: int) -> float:
    """Return how long to wait before a repeat, drawn at random so that rivals drift apart."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * GROWTH**attempt)
    return random.uniform(0, longest)  # noqa: S311 - spreads repeats, guards nothing


def _brief(error: PyMongoError) -> str:
    """Return the first words of a failure, without the topology that some tell at length."""
    return str(error).partition(", full error")[0].partition(" (configured")[0][:MAX_TOLD_CHARS]
