"""Make what an installation needs once: directories, keys, the operator's token, the seed.

Nothing that exists is touched, so it may be run again at any time.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import ValidationError
from uuid6 import uuid7

from services.wallet_manager.cli import make_seed
from services.wallet_manager.settings import Settings as WalletSettings
from services.wallet_manager.vault.hardening import forbid_core_dumps
from shared.access import Role
from shared.auth import OPERATOR, mint_operator_token
from shared.clock import MS_PER_S, SystemClock
from shared.config import SERVICES, ConfigurationMissing, ServiceSettings, explain
from shared.sealing import new_recovery_key
from shared.storage import StorageError, StorageLocked
from shared.web.operations import RECOVERY_KEY

TOKEN_LIFETIME_S: Final = 365 * 24 * 3_600
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where an installation's keys are."""

    data_dir: Path
    keys: Path
    secrets: Path

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Layout":
        """Return the layout that settings describe."""
        secrets = settings.data_dir / "secrets"
        return cls(data_dir=settings.data_dir, keys=settings.keys_path(), secrets=secrets)

    @property
    def operator_key(self) -> Path:
        """The operator's private key."""
        return self.secrets / "operator" / "operator.pem"

    @property
    def operator_token(self) -> Path:
        """The operator's first token."""
        return self.secrets / "operator" / "operator.token"


def make_keys(layout: Layout) -> list[Path]:
    """Make every missing directory, key, secret and token; returns what was made."""
    made: list[Path] = []
    for folder in (layout.data_dir, layout.keys, layout.secrets):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made += _key_pair(layout.operator_key, layout.keys / f"{OPERATOR}.pub.pem")
    for service in SERVICES:
        public = layout.keys / f"{service}.pub.pem"
        made += _key_pair(layout.secrets / service / "identity.pem", public)
    made += _once(layout.secrets / "wallet-manager" / "master.key", _hex_secret)
    made += _once(layout.secrets / "payment-gateway" / "webhook.key", _hex_secret)
    made += _once(layout.operator_token, lambda: _operator_token(layout).encode())
    return made


def make_mongodb_secrets(layout: Layout) -> list[Path]:
    """Make every missing secret of a MongoDB server of the stack's own; returns what was made.

    A service finds its password in its own folder. The server's folder has the members' common key,
    root's password and a copy of each service's, from which the users are made: a password that was
    replaced in the service's folder is copied again.
    """
    server = layout.secrets / "mongodb"
    made = _once(server / "keyfile", _hex_secret)
    made += _once(server / "root-password", _hex_secret)
    for service in SERVICES:
        own, copy = layout.secrets / service / "mongodb.password", server / f"{service}-password"
        made += _once(own, _hex_secret)
        if copy.exists() and copy.read_bytes() != own.read_bytes():
            copy.unlink()
        made += _once(copy, own.read_bytes)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was missing and was made.

    Attributes:
        paths: files that were written.
        seed: whether there was no seed and one was made.
        running: whether wallet-manager runs, so that the seed was not looked at.
    """

    paths: list[Path]
    seed: bool
    running: bool


async def initialise(settings: WalletSettings, *, show: Callable[[str], None]) -> Made:
    """Make keys, and if there is none, the recovery key and the seed.

    Args:
        settings: where everything is to be.
        show: is given each notice that is told once and never again.
    """
    layout, network = Layout.of(settings), settings.tron_network.value
    paths = make_keys(layout)
    if not (layout.keys / RECOVERY_KEY).exists():
        recovery = new_recovery_key()
        show(RECOVERY_NOTICE.format(network=network, key=recovery.secret))
        paths += _once(layout.keys / RECOVERY_KEY, recovery.public.encode)
    try:
        seed = await make_seed(
            settings, show=lambda words: show(SEED_NOTICE.format(network=network, words=words))
        )
    except StorageLocked:
        return Made(paths=paths, seed=False, running=True)
    return Made(paths=paths, seed=seed, running=False)


def main() -> int:
    """Run the command; returns the exit status."""
    forbid_core_dumps()
    try:
        settings = WalletSettings()
        made = asyncio.run(initialise(settings, show=show))
    except ValidationError as error:
        print(f"init: {explain(error)}", file=sys.stderr)
        return 2
    except (ConfigurationMissing, StorageError, OSError) as error:
        print(f"init: {error}", file=sys.stderr)
        return 1
    for path in made.paths:
        print(f"made {path}")
    if made.running:
        print("wallet-manager is running, so whether there is a seed was not looked at")
    elif not made.paths and not made.seed:
        print(f"nothing to do: {settings.data_dir} is complete")
    return 0


def show(notice: str) -> None:
    """Print a notice that is told once, before what it tells of is stored."""
    print(notice, flush=True)


SEED_NOTICE: Final = """
The seed of this installation ({network}) in 24 words. They are shown this once.
Write them down and keep them off this machine: whoever has them has the money, and without
them and without a backup the money is gone.

  {words}
"""

RECOVERY_NOTICE: Final = """
The recovery key of this installation ({network}). It is shown this once. Backups are sealed to it and
open with nothing else: keep it off this machine.

  {key}
"""


def _key_pair(private_path: Path, public_path: Path) -> list[Path]:
    made = _once(private_path, _new_private_key)
    private_key = load_pem_private_key(private_path.read_bytes(), password=None)
    public = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made + _once(public_path, lambda: public)


def _new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _hex_secret() -> bytes:
    return os.urandom(SECRET_BYTES).hex().encode()


def _operator_token(layout: Layout) -> str:
    key = load_pem_private_key(layout.operator_key.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationMissing(f"{layout.operator_key} is no Ed25519 key")
    return mint_operator_token(
        key,
        subject="operator",
        role=Role.SUPER_ADMIN,
        now_s=SystemClock().now_ms() // MS_PER_S,
        lifetime_s=TOKEN_LIFETIME_S,
        token_id=uuid7().hex,
    )


def _once(path: Path, content: Callable[[], bytes]) -> list[Path]:
    if path.exists():
        return []
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content())
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # a name that a power cut forgets is a key that is gone
    finally:
        os.close(folder)
    return [path]
