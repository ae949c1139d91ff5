"""What every service with a database publishes for its operator."""

from enum import StrEnum

from shared.models.wire import TimeText, View


class BackupView(View):
    """A sealed copy of the database, made inside the process that owns it.

    ``incarnation`` is that of the database; the copy becomes another one when it is restored.
    ``feeds`` has the number of each feed's newest event in the copy.
    """

    service: str
    file: str
    size_bytes: int
    sha256: str
    database_bytes: int
    incarnation: str
    schema_version: int
    feeds: dict[str, int]
    made_at: TimeText


class BackupJobState(StrEnum):
    """What became of a backup that was asked for."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class BackupJobView(View):
    """A backup that was asked for: how far it is, and what it made or why it failed."""

    job_id: str
    service: str
    state: BackupJobState
    phase: str
    done_bytes: int
    total_bytes: int
    started_at: TimeText
    backup: BackupView | None = None
    problem: str | None = None


class SealedCopyView(View):
    """A sealed copy in the backups folder."""

    file: str
    made_at: TimeText
    size_bytes: int


class BackupsView(View):
    """What there is of backups: the one that was asked for last, and the sealed copies."""

    service: str
    job: BackupJobView | None
    copies: list[SealedCopyView]
    last_made_at: TimeText | None
    age_s: int | None
    is_overdue: bool


class IntegrityView(View):
    """The database was checked as a whole and is sound."""

    service: str
    sound: bool
    incarnation: str
    checked_at: TimeText


class FeedConsumerView(View):
    """Somebody who follows a feed: the number of the last event that is done with, and what is left."""

    name: str
    acknowledged: int
    behind: int


class FeedStandingView(View):
    """A feed: numbers of the oldest event that is kept and of the newest one, and who follows it."""

    feed: str
    first: int
    last: int
    consumers: list[FeedConsumerView]


class FeedsView(View):
    """The feeds of a service."""

    feeds: list[FeedStandingView]
