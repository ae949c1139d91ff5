#!/bin/bash
# Install a container engine from Debian packages: engine.sh FOLDER
#
# Debian 12's own engine is too old for what is built here (several architectures at once, health
# checks with a start interval, an internal network that refuses at once), so the next release's
# three packages are installed on top of this one's containerd and runc. Nothing is started.
# The names of the packages that were not there before are left in FOLDER/installed.
set -euo pipefail

readonly work=$1
readonly needed=(containerd runc iptables tini mmdebstrap qemu-user-static binfmt-support)
readonly newer=(docker.io docker-cli docker-compose docker-buildx)

mkdir -p "$work"/trixie/{lists,cache/archives}/partial
own=$(awk -F= '$1 == "VERSION_CODENAME" {print $2}' /etc/os-release)
apt_conf=$work/trixie/apt.conf
sed "s/$own/trixie/g" /etc/apt/sources.list.d/debian.sources > "$work/trixie/debian.sources"
cat > "$apt_conf" <<CONF
Dir::Etc::sourcelist "$work/trixie/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/trixie/lists";
Dir::Cache "$work/trixie/cache";
APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
CONF

dpkg-query -W -f '${Package}\n' | sort > "$work/before"
apt-get -qq update
APT_CONFIG=$apt_conf apt-get -qq update
(cd "$work/trixie" && APT_CONFIG=$apt_conf apt-get -qq download "${newer[@]}")
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
  "${needed[@]}" "$work"/trixie/docker*.deb
dpkg-query -W -f '${Package}\n' | sort > "$work/after"
comm -13 "$work/before" "$work/after" > "$work/installed"
