#!/bin/bash
# Install a container engine from Debian packages: engine.sh FOLDER
#
# Debian 12's own engine is too old for what is built here (several architectures at once, health
# checks with a start interval, an internal network that refuses at once), so the next release's
# packages are installed on top of this one's containerd and runc. Where packages come from is read
# in the machine's own debian.sources; no other source is asked and the machine's lists stay as they
# are. Nothing is started. What was not there before is named in FOLDER/installed.
#
# Ends with 75 if the packages cannot be fetched here, with another status if anything else fails.
set -euo pipefail

readonly work=$1
readonly needed=(
  containerd runc iptables tini mmdebstrap qemu-user-static binfmt-support ca-certificates iproute2
)
readonly newer=(docker.io docker-cli docker-compose docker-buildx)
readonly unreachable=75
export DEBIAN_FRONTEND=noninteractive

apt_for() { # SUITE-OF-THE-MACHINE SUITE: writes a configuration of its own and names it
  local own=$1 suite=$2 home=$work/$2
  mkdir -p "$home"/{lists,cache/archives}/partial
  sed "s/$own/$suite/g" /etc/apt/sources.list.d/debian.sources > "$home/debian.sources"
  cat > "$home/apt.conf" <<CONF
Dir::Etc::sourcelist "$home/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$home/lists";
Dir::Cache "$home/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Retries "3";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
DPkg::Lock::Timeout "300";
CONF
  echo "$home/apt.conf"
}

installed() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  //p' | sort; }

release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
own=$(apt_for "$release" "$release")
next=$(apt_for "$release" trixie)

installed > "$work/before"
APT_CONFIG=$own apt-get -qq update || exit "$unreachable"
APT_CONFIG=$next apt-get -qq update || exit "$unreachable"
(cd "$work/trixie" && APT_CONFIG=$next apt-get -qq download "${newer[@]}") || exit "$unreachable"
APT_CONFIG=$own apt-get -qq install -y --no-install-recommends --download-only \
  "${needed[@]}" "$work"/trixie/docker*.deb || exit "$unreachable"
APT_CONFIG=$own apt-get -qq install -y --no-install-recommends \
  "${needed[@]}" "$work"/trixie/docker*.deb
installed > "$work/after"
comm -13 "$work/before" "$work/after" > "$work/installed"
