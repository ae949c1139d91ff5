"""What can be said of the MongoDB overlays without a MongoDB: rights, files, and the commands of the setup."""

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from services import mongodb
from services.engines import schema_of
from services.init import Layout, make_mongodb_secrets
from services.mongodb import ACTIONS, collections_of, roles
from services.wallet_manager.settings import Settings
from shared.config import SERVICES, process_environment, python_name, read_secret
from shared.storage.mongo.names import EXPECTED
from tests.support import settings_in

TREE: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final = TREE / "compose"
ROLES: Final = COMPOSE / "mongodb-roles.json"
ONE: Final = ("compose.yaml", "mongodb.yaml")
THREE: Final = (*ONE, "mongodb-three.yaml")
MEMBERS: Final = ("mongodb", "mongodb-2", "mongodb-3")
HOSTS: Final = [f"lucid-{member}:27017" for member in MEMBERS]
DOCKER: Final = shutil.which("docker")
NODE: Final = shutil.which("node")


# Rights


def test_the_committed_roles_are_those_of_the_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    assert mongodb.main() == 0
    told = capsys.readouterr().out
    assert ROLES.read_text() == told, (
        "run: python -m services mongodb-roles > compose/mongodb-roles.json"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_covers_everything_that_its_service_keeps(service: str) -> None:
    own, schema = python_name(service), schema_of(service)
    expected = {f"{own}.engine"} | {f"{own}.feed.{feed.name}" for feed in schema.feeds}
    for collection in schema.collections:
        expected.add(collection.name if collection.name in EXPECTED else f"{own}.{collection.name}")
    named = json.loads(ROLES.read_text())["collections"][service]
    assert len(named) == len(set(named)) == 1 + len(schema.feeds) + len(schema.collections)
    assert set(named) == expected


def test_no_collection_belongs_to_two_services() -> None:
    named = [name for service in SERVICES for name in collections_of(schema_of(service))]
    assert len(named) == len(set(named))


def test_only_wallet_manager_may_use_the_sealed_keys() -> None:
    able = [service for service, names in roles()["collections"].items() if "wallet_keys" in names]
    assert able == ["wallet-manager"]


def test_collections_go_by_the_names_that_other_tools_look_for() -> None:
    collections = roles()["collections"]
    assert {"payouts", "payout_batches"} <= set(collections["payout-router"])
    assert "tron_receipts" in collections["tron-client"]
    assert "wallet_keys" in collections["wallet-manager"]


def test_no_role_may_drop_or_rename_or_grant() -> None:
    assert not [action for action in ACTIONS if re.search(r"^drop(C|D)|rename|grant|any", action)]


# Secrets


def test_every_service_and_the_server_have_the_same_password(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    made = make_mongodb_secrets(layout)
    assert len(made) == 2 + 2 * len(SERVICES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    for service in SERVICES:
        own = layout.secrets / service / "mongodb.password"
        assert read_secret(own, purpose="password") == server_copy(layout, service)
    contents = {path.read_bytes() for path in made}
    assert len(contents) == 2 + len(SERVICES)
    keyfile = (layout.secrets / "mongodb" / "keyfile").read_text()
    assert re.fullmatch(r"[A-Za-z0-9+/=]{6,1024}", keyfile)  # what mongod takes as a key


def test_a_second_run_makes_no_new_password(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    before = {path: path.read_bytes() for path in make_mongodb_secrets(layout)}
    assert make_mongodb_secrets(layout) == []
    assert {path: path.read_bytes() for path in before} == before


def test_a_password_that_was_replaced_reaches_the_server(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    make_mongodb_secrets(layout)
    (layout.secrets / "trx-staking" / "mongodb.password").write_text("another one")
    copy = layout.secrets / "mongodb" / "trx-staking-password"
    assert make_mongodb_secrets(layout) == [copy]
    assert copy.read_text() == "another one"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def layout_in(folder: Path) -> Layout:
    return Layout.of(settings_in(folder / "data", Settings))


def server_copy(layout: Layout, service: str) -> bytes:
    return (layout.secrets / "mongodb" / f"{service}-password").read_bytes()


# The stack as compose understands it


def composed(files: tuple[str, ...]) -> dict[str, Any]:
    if DOCKER is None:
        pytest.skip("there is no docker to read the compose files")
    chosen = [part for file in files for part in ("--file", str(COMPOSE / file))]
    environment = {
        **{key: value for key, value in process_environment().items() if key in {"PATH", "HOME"}},
        "TRON_NETWORK": "devnet",
    }
    command = [DOCKER, "compose", "--env-file", "/dev/null", *chosen, "config", "--format", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=TREE, env=environment
    )
    if "not a docker command" in done.stderr or "unknown flag" in done.stderr:
        pytest.skip("this docker has no compose")
    assert done.returncode == 0, done.stderr
    stack: dict[str, Any] = json.loads(done.stdout)
    return stack


@pytest.mark.parametrize("files", [ONE, THREE, (*THREE, "devnet.yaml", "debug.yaml")])
def test_the_members_are_confined_and_published_nowhere(files: tuple[str, ...]) -> None:
    stack = composed(files)
    members = [name for name in MEMBERS if name in stack["services"]]
    assert len(members) == (1 if files == ONE else 3)
    for name in members:
        member = stack["services"][name]
        assert list(member["networks"]) == ["isolated"]
        assert member["networks"]["isolated"]["aliases"] == [f"lucid-{name}"]
        assert "ports" not in member
        assert member["user"] == "65532:65532"
        assert (member["read_only"], member["cap_drop"]) == (True, ["ALL"])
        assert member["security_opt"] == ["no-new-privileges:true"]
        assert int(member["mem_limit"]) <= 768 * 2**20
        assert member["pids_limit"] > 0
        assert member["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
        assert {"--auth", "--keyFile=/run/lucid/keyfile", "--replSet=lucid"} <= {*member["command"]}
        mounted = {each["target"]: each for each in member["volumes"]}
        assert mounted["/data/db"]["source"] == f"data-{name}"
        assert mounted["/run/lucid"]["read_only"]
    assert stack["networks"]["isolated"]["internal"]


@pytest.mark.parametrize(("files", "hosts"), [(ONE, HOSTS[:1]), (THREE, HOSTS)])
def test_whoever_opens_a_database_reaches_mongodb_after_its_setup(
    files: tuple[str, ...], hosts: list[str]
) -> None:
    services = composed(files)["services"]
    for name in (*SERVICES, "init"):
        service = services[name]
        assert service["environment"]["MONGODB_URL"] == (
            f"mongodb://{','.join(hosts)}/?replicaSet=lucid"
        )
        assert service["environment"]["MONGODB_DATABASE"] == "lucid"
        assert not service["environment"]["MONGODB_USER"]
        assert "isolated" in service["networks"]
        assert service.get("network_mode") is None
        waits = service["depends_on"]["mongodb-setup"]["condition"]
        assert waits == "service_completed_successfully"
    assert services["mongodb-setup"]["environment"]["MONGODB_HOSTS"] == ",".join(hosts)


def test_mongodbs_image_sees_no_secret_of_a_service_but_its_password() -> None:
    services = composed(THREE)["services"]
    for name in (*MEMBERS, "mongodb-setup"):
        sources = {each["source"] for each in services[name]["volumes"] if each["type"] == "volume"}
        assert sources <= {"secrets-mongodb", f"data-{name}"}
    holders = {
        name
        for name, service in services.items()
        for each in service.get("volumes", ())
        if each["source"] == "secrets-mongodb"
    }
    assert holders == {*MEMBERS, "mongodb-setup", "mongodb-secrets"}


# The setup, against a server that keeps what it is told

HARNESS: Final = """
const fs = require("fs"), vm = require("vm");
const told = JSON.parse(fs.readFileSync(0, "utf8"));
const state = told.state, log = [];
const refused = (codeName) => Object.assign(new Error(codeName), { codeName });

function run(command, by) {
  const verb = Object.keys(command)[0];
  log.push({ by, command: JSON.parse(JSON.stringify(command)) });
  const open = verb === "hello" || (by === "nobody" && Object.keys(state.users).length === 0);
  if (by !== "root" && !open) throw refused("Unauthorized");
  switch (verb) {
    case "hello": return state.config ? { setName: state.config._id } : {};
    case "replSetInitiate":
      if (state.config) throw refused("AlreadyInitialized");
      state.config = { ...command.replSetInitiate, version: 1 };
      return {};
    case "replSetGetConfig": return { config: JSON.parse(JSON.stringify(state.config)) };
    case "replSetReconfig":
      if (state.unsettled > 0) { state.unsettled -= 1; throw refused("ConfigurationInProgress"); }
      if (command.replSetReconfig.version !== state.config.version + 1) throw refused("BadVersion");
      if (command.replSetReconfig.members.length > state.config.members.length + 1)
        throw refused("InvalidReplicaSetConfig");
      state.config = command.replSetReconfig;
      return {};
    case "rolesInfo": return { roles: state.roles[command.rolesInfo.role] ? [{}] : [] };
    case "usersInfo": return { users: state.users[command.usersInfo.user] ? [{}] : [] };
  }
  const [, act, kind] = /^(create|update)(Role|User)$/.exec(verb) ?? [];
  if (!act) throw refused("CommandNotFound");
  const place = kind === "Role" ? state.roles : state.users, name = command[verb];
  if ((act === "create") === name in place) throw refused("Location51002");
  const { [verb]: _, ...rest } = command;
  place[name] = rest;
  return {};
}

function connect(url) {
  const { username, password } = new URL(url.replaceAll(/,[^/]*/g, ""));
  if (!url.includes("127.0.0.1") && !state.config) throw refused("NoPrimary");
  if (username && state.users[username]?.pwd !== password) throw refused("AuthenticationFailed");
  return { runCommand: (command) => run(command, username || "nobody") };
}

let error = null;
try {
  vm.runInNewContext(fs.readFileSync(told.script, "utf8"), {
    connect, print: () => {}, sleep: () => {},
    process: { env: told.environment },
    require: () => ({ readFileSync: (path) => {
      if (!(path in told.files)) throw refused(`no file ${path}`);
      return told.files[path];
    } }),
  });
} catch (caught) { error = caught.message; }
process.stdout.write(JSON.stringify({ state, log, error }));
"""


class Server:
    """A replica set's memory between runs of the setup."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"config": None, "users": {}, "roles": {}, "unsettled": 0}
        self.secrets = {f"{service}-password": f"{service}'s\n" for service in SERVICES}
        self.secrets["root-password"] = "root's\n"

    def set_up(self, hosts: list[str]) -> list[str]:
        """Run the setup; returns the verbs that root or nobody sent.

        Raises:
            AssertionError: the setup failed; its message is the error's.
        """
        if NODE is None:
            pytest.skip("there is no node to run compose/mongodb-setup.js")
        files: Mapping[str, str] = {
            "/setup/mongodb-roles.json": ROLES.read_text(),
            **{f"/run/lucid/{name}": text for name, text in self.secrets.items()},
        }
        told = {
            "state": self.state,
            "script": str(COMPOSE / "mongodb-setup.js"),
            "files": files,
            "environment": {"MONGODB_HOSTS": ",".join(hosts), "MONGODB_DATABASE": "lucid"},
        }
        done = subprocess.run(
            [NODE, "-e", HARNESS],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=True,
        )
        answer = json.loads(done.stdout)
        self.state = answer["state"]
        assert answer["error"] is None, answer["error"]
        return [next(iter(each["command"])) for each in answer["log"]]

    def members(self) -> list[str]:
        """Return the hosts of the set."""
        return [member["host"] for member in self.state["config"]["members"]]


@pytest.fixture
def server() -> Server:
    return Server()


def test_the_setup_makes_the_set_root_and_a_user_for_each_service(server: Server) -> None:
    server.set_up(HOSTS[:1])
    assert server.members() == HOSTS[:1]
    assert set(server.state["users"]) == {"root", *SERVICES}
    for service in SERVICES:
        user = server.state["users"][service]
        assert user["pwd"] == f"{service}'s"
        assert user["roles"] == [{"role": service, "db": "admin"}]
        assert user["mechanisms"] == ["SCRAM-SHA-256"]


def test_no_call_is_returned_from_where_its_failure_is_to_be_caught() -> None:
    """mongosh awaits calls by itself, but not those that are returned: their errors pass the catch."""
    script = (COMPOSE / "mongodb-setup.js").read_text()
    assert "try {" in script
    assert not re.search(r"try \{[^}]*return [\w.]+\(", script)


def test_a_role_allows_its_services_collections_and_to_list_names_and_nothing_else(
    server: Server,
) -> None:
    server.set_up(HOSTS[:1])
    for service in SERVICES:
        role = server.state["roles"][service]
        assert role["roles"] == []
        listing, *others = role["privileges"]
        assert listing == {
            "resource": {"db": "lucid", "collection": ""},
            "actions": ["listCollections"],
        }
        assert {each["resource"]["db"] for each in others} == {"lucid"}
        assert {tuple(each["actions"]) for each in others} == {ACTIONS}
        named = [each["resource"]["collection"] for each in others]
        assert named == collections_of(schema_of(service))


def test_a_second_setup_changes_nothing(server: Server) -> None:
    server.set_up(HOSTS)
    before = json.dumps(server.state, sort_keys=True)
    verbs = server.set_up(HOSTS)
    assert json.dumps(server.state, sort_keys=True) == before
    assert not {"replSetInitiate", "replSetReconfig", "createUser", "createRole"} & {*verbs}


def test_a_set_of_one_grows_to_three_member_by_member(server: Server) -> None:
    server.set_up(HOSTS[:1])
    server.state["unsettled"] = 3
    server.set_up(HOSTS)
    assert server.members() == HOSTS
    assert [member["_id"] for member in server.state["config"]["members"]] == [0, 1, 2]


def test_a_set_that_does_not_settle_fails_the_setup(server: Server) -> None:
    server.set_up(HOSTS[:1])
    server.state["unsettled"] = 1_000
    with pytest.raises(AssertionError, match="ConfigurationInProgress"):
        server.set_up(HOSTS)


def test_a_changed_password_and_a_changed_role_are_brought_up_to_date(server: Server) -> None:
    server.set_up(HOSTS[:1])
    server.secrets["payout-router-password"] = "another's"
    server.state["roles"]["payout-router"]["privileges"].append("too much")
    server.set_up(HOSTS[:1])
    assert server.state["users"]["payout-router"]["pwd"] == "another's"
    assert "too much" not in server.state["roles"]["payout-router"]["privileges"]


def test_an_interrupted_setup_is_taken_up_again(server: Server) -> None:
    lost = server.secrets.pop("usdt-manager-password")
    with pytest.raises(AssertionError, match="usdt-manager-password"):
        server.set_up(HOSTS[:1])
    server.secrets["usdt-manager-password"] = lost
    server.set_up(HOSTS[:1])
    assert set(server.state["users"]) == {"root", *SERVICES}


def test_an_empty_password_makes_no_user(server: Server) -> None:
    server.secrets["wallet-manager-password"] = "\n"
    with pytest.raises(AssertionError, match="wallet-manager-password is empty"):
        server.set_up(HOSTS[:1])
    assert "wallet-manager" not in server.state["users"]


def test_another_root_password_is_told_and_nothing_is_changed(server: Server) -> None:
    server.set_up(HOSTS[:1])
    before = json.dumps(server.state, sort_keys=True)
    server.secrets["root-password"] = "guessed"
    with pytest.raises(AssertionError, match="root has another password"):
        server.set_up(HOSTS)
    assert json.dumps(server.state, sort_keys=True) == before
