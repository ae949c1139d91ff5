"""Have every running service check its own database as a whole."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError
from tqdm import tqdm

from services.backup import NotDone, Owner, owners
from services.wallet_manager.settings import Settings
from shared.config import explain
from shared.models.operations import IntegrityView

CHECK_TIMEOUT_S: Final = 3_600
"""A million records take about a minute read cold from a disk, longer from a card."""


def main(arguments: Sequence[str] = ()) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services check",
        description="Have every running service check its database: pages, indexes, constraints.",
    )
    parser.parse_args(arguments)
    try:
        with owners(Settings()) as asked, tqdm(asked, unit="service", disable=None) as bar:
            sound = [_checked(owner) for owner in bar]
    except ValidationError as error:
        print(f"check: {explain(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"check: {error}", file=sys.stderr)
        return 1
    return 0 if all(sound) else 1


def _checked(owner: Owner) -> bool:
    try:
        told = owner.ask("POST", "/api/v1/ops/integrity-check", timeout_s=CHECK_TIMEOUT_S)
        view = IntegrityView.model_validate(told)
    except NotDone as error:
        tqdm.write(f"{owner.service:<16} NOT SOUND  {error}", file=sys.stdout)
        return False
    tqdm.write(
        f"{owner.service:<16} sound      {view.incarnation}  {view.checked_at}", file=sys.stdout
    )
    return True
