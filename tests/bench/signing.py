"""How fast wallet-manager signs through its API, derives addresses and unlocks, beside bare libsecp256k1."""

import asyncio
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from tqdm import tqdm

from services.wallet_manager.settings import Settings
from services.wallet_manager.vault import leaf_address
from services.wallet_manager.vault.keystore import sealed_keystore
from services.wallet_manager.vault.wrapping import new_argon2, stretch
from shared.models.wallet_sends import SendsRequest
from shared.tron.signing import SigningKey
from tests.bench.table import Row
from tests.services.wallet_manager.bench import Desk, desk
from tests.services.wallet_manager.till import intent, vault

SENDS = 4_000
PER_REQUEST = 100
CLIENTS = 4
ROUNDS = 2_000
DEFAULT_MEMORY_MIB = int(Settings.model_fields["vault_argon2_memory_mib"].default)


def rows(place: Path) -> Iterable[Row]:
    """Measure in this process, on one core, with the database on disk and tron-client in memory."""
    bare = _per_s(_bare_signing(), ROUNDS)
    accepted, signed = asyncio.run(_measure(place))
    yield Row(
        what=f"intents accepted durably, {PER_REQUEST} a request, {CLIENTS} clients",
        measured=f"{accepted:.0f}/s",
        beside="durable units in the table of storage",
    )
    yield Row(
        what="sends accepted, signed, recorded and handed over, through the API",
        measured=f"{signed:.0f}/s",
        beside=f"target 3,000; bare libsecp256k1 {bare:.0f}/s",
    )
    opened = vault()
    branch = opened.branch(0)
    numbers = iter(range(ROUNDS))
    yield Row(
        what="deposit addresses derived from the account's public half",
        measured=f"{_per_s(lambda: leaf_address(branch, next(numbers)), ROUNDS):.0f}/s",
        beside=f"bare libsecp256k1, public key of a secret {_per_s(_bare_deriving(), ROUNDS):.0f}/s",
    )
    yield Row(
        what="a vault made, sealed and opened with its key in a file",
        measured=f"{_seconds(vault):.3f} s",
        beside="of which BIP-39 asks for 2,048 rounds of PBKDF2",
    )
    argon2 = new_argon2(DEFAULT_MEMORY_MIB)
    passphrase = bytearray(b"correct horse battery staple")
    yield Row(
        what=f"the master key made of a passphrase, Argon2id over {DEFAULT_MEMORY_MIB} MiB",
        measured=f"{_seconds(lambda: stretch(passphrase, argon2)):.3f} s",
        beside="what each guess costs; the tenth wrong one waits an hour",
    )
    yield Row(
        what="one key sealed as a keystore file, scrypt over 128 MiB",
        measured=f"{_seconds(lambda: _keystore(passphrase)):.3f} s",
        beside="what each guess at the file costs",
    )


async def _measure(place: Path) -> tuple[float, float]:
    """Return how many intents were accepted a second, and how many sends were handed over."""
    async with desk(place) as open_desk:
        await open_desk.tron_client.booked.wait()
        bodies = [
            _body(open_desk.treasury["wallet_id"], start) for start in range(0, SENDS, PER_REQUEST)
        ]
        began = time.perf_counter()
        with tqdm(total=SENDS, desc="sends") as progress:
            await asyncio.gather(*(_ask(open_desk, bodies, progress) for _ in range(CLIENTS)))
            accepted_s = time.perf_counter() - began
            await open_desk.tron_client.handed_over(SENDS)
        handed_over_s = time.perf_counter() - began
    return SENDS / accepted_s, SENDS / handed_over_s


async def _ask(open_desk: Desk, bodies: list[bytes], progress: "tqdm[Any]") -> None:
    while bodies:
        for result in await open_desk.send(bodies.pop()):
            if result["problem"] is not None:
                raise RuntimeError(result["problem"]["detail"])
            progress.update()


def _body(wallet_id: str, start: int) -> bytes:
    intents = [
        intent(f"n{number}", amount=1_000_000 + number, wallet_id=wallet_id)
        for number in range(start, start + PER_REQUEST)
    ]
    return SendsRequest(intents=intents).model_dump_json().encode()


def _bare_signing() -> Callable[[], object]:
    key = PrivateKey(sha256(b"bench").digest())
    digest = sha256(b"digest").digest()
    return lambda: key.sign_recoverable(digest, hasher=None)


def _bare_deriving() -> Callable[[], object]:
    secret = sha256(b"bench").digest()
    return lambda: PrivateKey(secret).public_key.format(compressed=False)


def _keystore(passphrase: bytearray) -> object:
    secret = sha256(b"bench").digest()
    return sealed_keystore(secret, passphrase, address=SigningKey(secret).address)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _per_s(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - began)
