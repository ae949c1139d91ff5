"""Back up every running service, and open what was sealed."""

import getpass
import sys
from collections.abc import Iterable
from pathlib import Path

import httpx
from pydantic import ValidationError
from tqdm import tqdm

from services.init import Layout
from services.wallet_manager.settings import Settings
from shared.config import SERVICES, explain, python_name
from shared.sealing import NotOpened, unseal


def back_up() -> int:
    """Ask every service for a sealed copy of its database; returns the exit status."""
    try:
        settings = Settings()
        token = Layout.of(settings).operator_token.read_text().strip()
    except ValidationError as error:
        print(f"backup: {explain(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    failed = list(_all(settings, token))
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def open_sealed() -> int:
    """Open the sealed file named on standard input's first line; returns the exit status."""
    sealed = Path(input("sealed file: ").strip())
    plain = sealed.with_suffix(".sqlite3")
    try:
        unseal(sealed, plain, secret=getpass.getpass("recovery key: ").strip())
    except (NotOpened, OSError) as error:
        print(f"unseal: {error}", file=sys.stderr)
        return 1
    print(f"opened as {plain}")
    return 0


def _all(settings: Settings, token: str) -> Iterable[str]:
    for service in tqdm(SERVICES, unit="service", desc="backing up"):
        url = str(getattr(settings, f"{python_name(service)}_url"))
        try:
            answer = httpx.post(
                f"{url}/api/v1/ops/backup",
                headers={"Authorization": f"Bearer {token}"},
                timeout=600,
                trust_env=False,
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            yield f"{service}: {error}"
            continue
        made = answer.json()
        tqdm.write(f"{service:<16} {made['file']}  {made['size_bytes']} bytes", file=sys.stdout)
