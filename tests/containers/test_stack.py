"""The composed stack: up as a new user brings it up, closed where it must be, and nothing lost."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest

from shared.config import SERVICES as PORTS
from tests.containers.engine import DOCKER, NAMESPACE, OUTSIDE, OUTSIDE_TOO, SERVICES, Engine
from tests.containers.stack import Stack

pytestmark = pytest.mark.containers

NAMES: Final = {
    **{service: service for service in SERVICES},
    **{f"lucid-{service}": service for service in SERVICES},
    "tron-payout-router": "payout-router",
    "tron-wallet-manager": "wallet-manager",
    "tron-usdt-manager": "usdt-manager",
    "tron-staking": "trx-staking",
    "tron-payment-gateway": "payment-gateway",
}
SECRET_FILES: Final = (
    "identity.pem",
    "master.key",
    "webhook.key",
    "operator.pem",
    "operator.token",
)
MOST_OF_THE_LIMIT: Final = 0.8
STOPS_WITHIN_S: Final = 10


def test_everything_is_healthy(stack: Stack) -> None:
    stack.healthy()


def test_the_smoke_test_finds_nothing(stack: Stack) -> None:
    assert "failed" not in stack.make("smoke")


def test_the_demo_runs_through_it(stack: Stack) -> None:
    assert "everything is as it should be" in stack.make(
        "stack-demo", f"PYTHON={sys.executable}", timeout_s=600
    )


@pytest.mark.parametrize("service", [*SERVICES, "devnet"])
def test_every_container_is_confined(stack: Stack, service: str) -> None:
    facts: dict[str, Any] = stack.inspect(service)
    host = facts["HostConfig"]
    assert facts["Config"]["User"] == "65532:65532"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["PidsLimit"] == 128
    assert 0 < host["Memory"] <= 512 * 1024**2
    assert 0 < host["NanoCpus"] <= 10**9
    assert host["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "10m", "max-file": "3"},
    }
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert "noexec" in host["Tmpfs"]["/tmp"]  # noqa: S108 - the container's own


def test_h25_a_service_sees_its_own_data_and_secrets_alone(stack: Stack) -> None:
    for service in SERVICES:
        mounts = {mount["Destination"]: mount["RW"] for mount in stack.inspect(service)["Mounts"]}
        root = "/data/payment-systems"
        assert mounts == {
            f"{root}/keys": False,
            f"{root}/secrets/{service}": False,
            f"{root}/{service}": True,
            f"{root}/backups": True,
        }


@pytest.mark.parametrize("service", SERVICES)
def test_h24_only_tron_client_has_a_way_out(stack: Stack, engine: Engine, service: str) -> None:
    is_open = engine.reaches(stack.container(service), OUTSIDE, 80)
    assert is_open is (service == "tron-client")


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "tron-client"])
def test_h24_names_outside_are_not_asked_for(stack: Stack, service: str) -> None:
    assert stack.inspect(service)["HostConfig"]["Dns"] == ["127.0.0.1"]


@pytest.mark.parametrize(("name", "service"), NAMES.items())
def test_every_name_that_callers_use_leads_to_its_service(
    stack: Stack, engine: Engine, name: str, service: str
) -> None:
    url = f"http://{name}:{PORTS[service]}/info"
    code = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
    told = engine.python_in(stack.container("trx-staking"), code)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["service"] == service


@pytest.mark.usefixtures("stack")
def test_h24_a_caller_on_the_callers_network_reaches_the_two_and_no_other(engine: Engine) -> None:
    run = ["run", "--rm", "--network", "lucid-tron-callers", "--dns", "127.0.0.1"]
    run += ["--entrypoint", "/usr/bin/python3.13"]
    code = """
import socket
for name, port in (("payment-gateway", 8096), ("tron-payout-router", 8092)):
    socket.create_connection((name, port), timeout=5)
for name in ("wallet-manager", "tron-client", "usdt-manager", "trx-staking"):
    try:
        socket.getaddrinfo(name, 80)
    except OSError:
        continue
    raise SystemExit(name)
"""
    engine.docker(*run, "pickme/lucid-operator", "-c", code)


def test_h24_ports_are_published_on_loopback_though_their_network_has_no_way_out(
    stack: Stack, engine: Engine
) -> None:
    for service, inner in PORTS.items():
        url = f"http://127.0.0.1:{stack.ports.services[service]}/health"
        assert httpx.get(url, timeout=5, trust_env=False).status_code == 200
        place = stack.compose("port", service, str(inner))
        assert place == f"127.0.0.1:{stack.ports.services[service]}"
    plain = engine.run(
        *(DOCKER, "compose", "--file", "compose/compose.yaml", "config", "--format", "json"),
        cwd=stack.tree,
        more={"TRON_NETWORK": "nile"},
    )
    services = json.loads(plain.stdout)["services"]
    published = {name for name, service in services.items() if service.get("ports")}
    assert published == {"payment-gateway", "payout-router"}


def test_no_secret_is_in_environment_inspect_output_logs_or_history(
    stack: Stack, engine: Engine
) -> None:
    secrets = []
    for owner in (*SERVICES, "operator"):
        for path in stack.volume(f"secrets-{owner}").rglob("*"):
            if path.name in SECRET_FILES:
                assert path.stat().st_mode & 0o777 == 0o600
                assert path.stat().st_uid == 65532
                lines = path.read_text().splitlines()
                secrets += [line for line in lines if len(line) > 20 and "-----" not in line]
    assert len(secrets) >= 10
    containers = engine.docker("ps", "--all", "--quiet").split()
    told = engine.docker("inspect", *containers)
    for service in SERVICES:
        image = f"pickme/lucid-{service}"
        told += engine.docker("image", "inspect", image)
        told += engine.docker("history", "--no-trunc", image)
        told += stack.compose("logs", service)
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.usefixtures("stack")
def test_memory_stays_well_below_the_limits(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = engine.docker("stats", "--no-stream", "--format", "{{json .}}").splitlines()
    with capsys.disabled():
        print()  # noqa: T201 - figures for whoever reads the run
        for line in lines:
            view = json.loads(line)
            print(f"  {view['Name']:<32} {view['MemUsage']}")  # noqa: T201
            assert float(view["MemPerc"].rstrip("%")) < MOST_OF_THE_LIMIT * 100


def test_a_second_up_makes_nothing_and_stops_nothing(stack: Stack) -> None:
    before = {service: stack.inspect(service)["State"]["StartedAt"] for service in SERVICES}
    assert "made /data" not in stack.up()
    after = {service: stack.inspect(service)["State"]["StartedAt"] for service in SERVICES}
    assert after == before


@pytest.fixture(scope="module")
def treasury(stack: Stack) -> str:
    """The treasury's address, with money enough for every test here."""
    address = stack.treasury()
    stack.fund(address, trx=3_000, usdt=1_000)
    return address


def test_a_stop_with_sends_in_flight_is_graceful_and_loses_nothing(
    stack: Stack, treasury: str
) -> None:
    people = stack.recipients(4)
    before, booked = [stack.held(person) for person in people], stack.booked(treasury)
    ids = stack.pay(people, "10", key="stopped")
    took = {}
    for service in ("wallet-manager", "payout-router", "tron-client", "payment-gateway"):
        started = time.monotonic()
        stack.compose("stop", service)
        took[service] = time.monotonic() - started
        assert stack.inspect(service)["State"]["ExitCode"] == 0
    assert max(took.values()) < STOPS_WITHIN_S, took
    stack.compose("up", "--detach", "--wait")
    _paid_once(stack, ids, people, before, treasury, booked)


@pytest.mark.parametrize("service", [*SERVICES, "devnet"])
def test_a_power_cut_of_any_container_loses_no_money(
    stack: Stack, treasury: str, service: str
) -> None:
    people = stack.recipients(3)
    before, booked = [stack.held(person) for person in people], stack.booked(treasury)
    restarts = stack.inspect(service)["RestartCount"]
    ids = stack.pay(people, "10", key=f"cut-{service}")
    stack.kill(service)
    stack.until(
        f"{service} is started again",
        lambda: stack.inspect(service)["RestartCount"],
        lambda count: count > restarts,
    )
    stack.healthy()
    _paid_once(stack, ids, people, before, treasury, booked)


def _paid_once(
    stack: Stack,
    ids: list[str],
    people: list[str],
    before: list[int],
    treasury: str,
    booked: int,
) -> None:
    for payout in ids:
        stack.completed(payout)
    paid = 10 * 10**6
    assert [stack.held(person) for person in people] == [held + paid for held in before]
    assert stack.booked(treasury) == booked - paid * len(people)


def test_h25_down_and_up_keeps_wallets_and_money(stack: Stack, treasury: str) -> None:
    booked = stack.booked(treasury)
    stack.make("down")
    stack.up()
    stack.healthy()
    assert stack.treasury() == treasury
    assert stack.booked(treasury) == booked


def test_h25_a_backup_is_sealed_into_the_backups_volume(stack: Stack) -> None:
    stack.compose("run", "--rm", "backup")
    names = [path.name for path in stack.volume("backups").iterdir()]
    for service in SERVICES:
        assert any(re.fullmatch(rf"{service}-.*\.sealed", name) for name in names)
    assert not [name for name in names if "plain" in name]


def test_a_secret_is_put_in_place_for_its_service_alone(stack: Stack) -> None:
    run = ("run", "--rm", "-T", "setup", "secret")
    stack.compose(*run, "tron-client", "trongrid-api-key", given="not-a-real-key")
    path = stack.volume("secrets-tron-client") / "trongrid-api-key"
    assert path.read_text() == "not-a-real-key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == 65532


@pytest.fixture
def real_money(stack: Stack, engine: Engine) -> Iterator[list[str]]:
    """Another installation on a network with real money, not set up yet."""
    other = [DOCKER, "compose", "--project-name", "other", "--file", "compose/compose.yaml"]
    yield other
    engine.run(*other, "down", "--volumes", cwd=stack.tree, more={"TRON_NETWORK": "nile"})


def test_a_seed_with_real_money_is_made_only_where_it_is_seen(
    stack: Stack, engine: Engine, real_money: list[str]
) -> None:
    nile = {"TRON_NETWORK": "nile"}
    run = (*real_money, "run", "--rm", "-T")
    refused = engine.run(*run, "init", "init", cwd=stack.tree, more=nile, checks=False)
    assert refused.returncode == 1
    assert "docker compose run --rm setup" in refused.stdout + refused.stderr
    shown = engine.run(*run, "setup", cwd=stack.tree, more=nile)
    assert "24 words" in shown.stdout
    again = engine.run(*run, "init", "init", cwd=stack.tree, more=nile)
    assert "24 words" not in again.stdout


LEADS_TO: Final = {
    "outside.example": OUTSIDE,
    "outside-too.example": OUTSIDE_TOO,
    "loopback.example": "127.0.0.1",
    "metadata.example": "169.254.169.254",
    "private.example": "10.11.12.13",
    "mapped.example": "::ffff:10.11.12.13",
}
"""Hosts of the allow list. Both addresses outside are of a kind kept for documentation, so the proxy
takes them for inner ones; only the first is let through on purpose."""

CONNECT_CODE: Final = """
import socket, sys
proxy = socket.create_connection(("egress-proxy", 8888), timeout=5)
proxy.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
proxy.settimeout(15)
told = b""
while chunk := proxy.recv(4096):
    told += chunk
print(told.decode("latin-1"))
"""


@pytest.fixture
def proxied(stack: Stack) -> Iterator[Stack]:
    """The stack with the egress-proxy overlay and an allow list of names."""
    allowed = stack.tree / "egress-allow"
    names = (*LEADS_TO, OUTSIDE_TOO, "wallet-manager")
    allowed.write_text("".join(f"^{re.escape(name)}$\n" for name in names))
    hosts = [f"{name}={address}" for name, address in LEADS_TO.items()]
    overlay = stack.tree / "compose" / "names.yaml"
    overlay.write_text(json.dumps({"services": {"egress-proxy": {"extra_hosts": hosts}}}))
    file = stack.tree / ".env"
    plain = file.read_text()
    more = "compose/debug.yaml:compose/egress-proxy.yaml:compose/names.yaml"
    text = plain.replace("compose/debug.yaml", more)
    text += f"EGRESS_ALLOW_FILE={allowed}\nEGRESS_ALLOWED_NETWORKS={OUTSIDE}/32\n"
    file.write_text(text)
    changed = ("up", "--detach", "--wait", "--no-deps", "payment-gateway")
    stack.compose(*changed, "egress-proxy")
    yield stack
    stack.compose("rm", "--stop", "--force", "egress-proxy")
    file.write_text(plain)
    stack.compose(*changed)


def test_h24_webhooks_leave_through_the_proxy_to_allowed_hosts_alone(
    proxied: Stack, engine: Engine
) -> None:
    gateway = proxied.container("payment-gateway")
    assert not engine.reaches(gateway, OUTSIDE, 443)

    def told(target: str) -> str:
        run = (DOCKER, "exec", gateway, "/usr/bin/python3.13", "-c", CONNECT_CODE, target)
        return engine.run(*run).stdout

    greeted = told("outside.example:443")
    assert re.match(r"HTTP/1\.\d 200", greeted)
    assert greeted.rstrip().endswith("hello")
    for target in ("outside.example:80", "unlisted.example:443", f"{OUTSIDE}:443"):
        assert told(target).split()[1] == "403", target
    inner = {*LEADS_TO, OUTSIDE_TOO, "wallet-manager"} - {"outside.example"}
    for host in inner:
        assert not re.match(r"HTTP/1\.\d 2", told(f"{host}:443")), host
    logs = proxied.compose("logs", "egress-proxy")
    for host in inner - {"wallet-manager"}:
        assert f"refused '{host}': it has the address" in logs
    for peer in ("payout-router", "wallet-manager", "tron-client"):
        code = "import socket; socket.getaddrinfo('egress-proxy', 8888)"
        assert engine.python_in(proxied.container(peer), code).returncode != 0
    proxied.compose("stop", "egress-proxy")
    assert proxied.inspect("egress-proxy")["State"]["ExitCode"] == 0


def _returning_route(engine: Engine, network: str) -> tuple[str, ...]:
    """Name the route by which a router outside would know the way back to a network."""
    (subnet,) = json.loads(
        engine.docker("network", "inspect", "-f", "{{json .IPAM.Config}}", network)
    )
    return (subnet["Subnet"], "via", "198.51.100.1")


def test_h24_the_rule_shuts_the_callers_network_even_where_a_router_knows_the_way_back(
    stack: Stack, engine: Engine
) -> None:
    unit = (stack.tree / "docker" / "lucid-callers.service").read_text()
    rules = [line.split("=", 1)[1].split() for line in re.findall(r"(?m)^ExecSt.*$", unit)]
    route = _returning_route(engine, "lucid-tron-callers")
    outside = ("ip", "netns", "exec", NAMESPACE, "ip", "route")
    container = stack.container("payout-router")
    engine.run(*outside, "add", *route)
    try:
        assert engine.reaches(container, OUTSIDE, 80), "the rule would have nothing to shut"
        for rule in rules[:2]:
            engine.run(*rule)
        try:
            assert not engine.reaches(container, OUTSIDE, 80)
            for service in SERVICES:
                url = f"http://127.0.0.1:{stack.ports.services[service]}/health"
                assert httpx.get(url, timeout=5, trust_env=False).status_code == 200
            assert engine.reaches(stack.container("tron-client"), OUTSIDE, 80)
        finally:
            for rule in rules[2:]:
                engine.run(*rule)
    finally:
        engine.run(*outside, "delete", *route)


@pytest.fixture
def estranged(stack: Stack, engine: Engine) -> Iterator[Callable[[str], None]]:
    """Give a volume of usdt-manager's to root while that is stopped; all is well again afterwards."""

    def give_away(volume: str) -> None:
        stack.compose("stop", "usdt-manager")
        engine.run("chown", "-R", "0:0", str(stack.volume(volume)))
        engine.docker("start", stack.container("usdt-manager"))

    yield give_away
    engine.run("chown", "-R", "65532:65532", *(str(stack.volume(name)) for name in USDT_VOLUMES))
    stack.compose("up", "--detach", "--wait")


USDT_VOLUMES: Final = ("data-usdt-manager", "secrets-usdt-manager")
MEND: Final = """\
for v in $(docker volume ls --quiet --filter name=lucid-tron_); do
  chown -R 65532:65532 "$(docker volume inspect --format '{{.Mountpoint}}' $v)"
done"""


def _says(stack: Stack) -> str:
    """Return what usdt-manager says of itself, in its log and to whoever asks."""
    url = f"http://127.0.0.1:{stack.ports.services['usdt-manager']}/health/ready"
    try:
        answer = httpx.get(url, timeout=5, trust_env=False).text
    except httpx.HTTPError:
        answer = ""
    logs = stack.engine.run(DOCKER, "logs", "--tail", "50", stack.container("usdt-manager"))
    return answer + logs.stdout + logs.stderr


@pytest.mark.parametrize(
    ("volume", "place"),
    [("data-usdt-manager", "usdt-manager"), ("secrets-usdt-manager", "secrets/usdt-manager")],
)
def test_h25_a_volume_of_the_wrong_owner_is_named_with_its_path_and_mended_as_documented(
    stack: Stack, engine: Engine, estranged: Callable[[str], None], volume: str, place: str
) -> None:
    path = f"/data/payment-systems/{place}"
    estranged(volume)
    said = stack.until("the path is named", lambda: _says(stack), lambda text: path in text)
    assert "65532" in said
    if volume.startswith("secrets"):
        run = (DOCKER, "compose", "run", "--rm", "-T", "init", "init")
        refused = engine.run(*run, cwd=stack.tree, checks=False)
        assert refused.returncode == 1
        assert f"{path}/identity.pem belongs to somebody else than uid 65532" in refused.stderr
    stack.shell(MEND)
    engine.docker("restart", stack.container("usdt-manager"))
    stack.healthy()
    ready = f"http://127.0.0.1:{stack.ports.services['usdt-manager']}/health/ready"
    stack.until(
        "ready again",
        lambda: httpx.get(ready, timeout=5, trust_env=False).status_code,
        lambda status: bool(status == 200),
    )
