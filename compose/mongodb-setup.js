// Makes the replica set, and in it a role and a user for each service. mongosh runs it at every up: what
// is there already is brought up to date, and members are added that the set does not have yet. Nothing
// is ever removed. Uncaught errors end mongosh with a status other than 0, and compose starts no service.
//
// Reads /setup/mongodb-roles.json and the secrets in /run/lucid; MONGODB_HOSTS and MONGODB_DATABASE from
// the environment. The database itself comes into being with the services' first collection.

const fs = require("fs");

const SET = "lucid";
const ROOT = "root";
const LOCAL = "mongodb://127.0.0.1:27017/admin?directConnection=true";
const PRIMARY_TIMEOUT_MS = 60_000;
const JOIN_TRIES = 30;
const JOIN_PAUSE_MS = 1_000;
// How MongoDB says that an earlier change of the set has to settle first.
const UNSETTLED = [
  "ConfigurationInProgress",
  "CurrentConfigNotCommittedYet",
  "NewReplicaSetConfigurationIncompatible",
];

function secret(name) {
  const text = fs.readFileSync(`/run/lucid/${name}`, "utf8").trim();
  if (text === "") throw new Error(`/run/lucid/${name} is empty`);
  return text;
}

function urlOf(hosts, password) {
  const user = password === undefined ? "" : `${ROOT}:${encodeURIComponent(password)}@`;
  const options = `replicaSet=${SET}&serverSelectionTimeoutMS=${PRIMARY_TIMEOUT_MS}`;
  return `mongodb://${user}${hosts.join(",")}/admin?${options}`;
}

// The set begins with one member even where there are to be three: the first user can be made on this
// member alone, which then is the primary for certain.
function initiate(local, host) {
  if (local.runCommand({ hello: 1 }).setName !== undefined) return;
  try {
    local.runCommand({ replSetInitiate: { _id: SET, members: [{ _id: 0, host }] } });
    print(`replica set ${SET} begins with ${host}`);
  } catch (error) {
    if (error.codeName !== "AlreadyInitialized") throw error;
  }
}

// Returns the set's admin database as root sees it; makes root if there is no user at all.
function asRoot(hosts, local, password) {
  try {
    const admin = connect(urlOf(hosts, password)); // returned at once, its error would pass the catch
    return admin;
  } catch (error) {
    if (error.codeName !== "AuthenticationFailed") throw error;
  }
  try {
    const roles = [{ role: "root", db: "admin" }];
    local.runCommand({ createUser: ROOT, pwd: password, roles, mechanisms: ["SCRAM-SHA-256"] });
    print(`user ${ROOT} is made`);
  } catch (error) {
    if (error.codeName !== "Unauthorized") throw error;
    throw new Error("root has another password than secrets/mongodb/root-password: put that back");
  }
  return connect(urlOf(hosts, password));
}

function join(admin, host) {
  for (let tries = 1; ; tries += 1) {
    const config = admin.runCommand({ replSetGetConfig: 1 }).config;
    if (config.members.some((member) => member.host === host)) return;
    const last = Math.max(...config.members.map((member) => member._id));
    config.members.push({ _id: last + 1, host });
    config.version += 1;
    try {
      admin.runCommand({ replSetReconfig: config });
      print(`${host} has joined`);
      return;
    } catch (error) {
      if (!UNSETTLED.includes(error.codeName) || tries === JOIN_TRIES) throw error;
    }
    sleep(JOIN_PAUSE_MS);
  }
}

function privilegesOf(database, actions, collections) {
  const privileges = [{ resource: { db: database, collection: "" }, actions: ["listCollections"] }];
  for (const collection of collections) {
    privileges.push({ resource: { db: database, collection }, actions });
  }
  return privileges;
}

function makeRole(admin, service, privileges) {
  const found = admin.runCommand({ rolesInfo: { role: service, db: "admin" } }).roles;
  const command = found.length === 0 ? { createRole: service } : { updateRole: service };
  admin.runCommand({ ...command, privileges, roles: [] });
}

function makeUser(admin, service, password) {
  const found = admin.runCommand({ usersInfo: { user: service, db: "admin" } }).users;
  const command = found.length === 0 ? { createUser: service } : { updateUser: service };
  const roles = [{ role: service, db: "admin" }];
  admin.runCommand({ ...command, pwd: password, roles, mechanisms: ["SCRAM-SHA-256"] });
}

function setUp() {
  const told = JSON.parse(fs.readFileSync("/setup/mongodb-roles.json", "utf8"));
  const hosts = process.env.MONGODB_HOSTS.split(",");
  const database = process.env.MONGODB_DATABASE;

  const local = connect(LOCAL);
  initiate(local, hosts[0]);
  connect(urlOf(hosts)).runCommand({ hello: 1 }); // waits until there is a primary
  const admin = asRoot(hosts, local, secret("root-password"));
  for (const host of hosts) {
    join(admin, host);
  }

  for (const [service, collections] of Object.entries(told.collections)) {
    makeRole(admin, service, privilegesOf(database, told.actions, collections));
    makeUser(admin, service, secret(`${service}-password`));
    print(`${service} may use ${collections.length} collections of ${database}`);
  }
}

setUp();
