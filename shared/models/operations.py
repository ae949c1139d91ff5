"""What every service with a database publishes for its operator."""

from shared.models.wire import TimeText, View


class BackupView(View):
    """A sealed copy of the database, made inside the process that owns it."""

    service: str
    file: str
    size_bytes: int
    sha256: str
    incarnation: str
    made_at: TimeText


class IntegrityView(View):
    """The database was checked as a whole and is sound."""

    service: str
    sound: bool
    incarnation: str
    checked_at: TimeText
