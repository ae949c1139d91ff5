#!/bin/bash
# Check that a Raspberry Pi is fit for the stack: prepare-pi.sh [--install] [--any-machine]
#
#   --install       as root: install the engine from Debian's packages, turn on the kernel's memory
#                   limits where the Pi's boot settings leave them off, and close the callers' network
#                   to the outside (lucid-callers.service)
#   --any-machine   let the architecture be another one, for trials
#
# It prints a line for each check and exits 1 if one failed. It changes nothing without --install.
set -euo pipefail

readonly min_memory_mib=3500 # a Pi sold as 4 GB shows about 3,790
readonly min_disk_mib=8192
readonly min_engine=25 # the first whose health checks have a start interval
readonly boot_settings=/boot/firmware/cmdline.txt
readonly closing=lucid-callers.service

failed=0
any_machine=no
install=no
for option in "$@"; do
  case $option in
    --install) install=yes ;;
    --any-machine) any_machine=yes ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

ok() { printf 'ok      %s\n' "$1"; }
note() { printf 'note    %s\n' "$1"; }
fail() { printf 'FAILED  %s\n        %s\n' "$1" "$2"; failed=1; }

check_machine() {
  local machine bits
  machine=$(uname -m) bits=$(getconf LONG_BIT)
  if [ "$machine" = aarch64 ] && [ "$bits" = 64 ]; then ok "64-bit ARM, kernel and system"
  elif [ "$any_machine" = yes ] && [ "$bits" = 64 ]; then note "this is a 64-bit $machine, not a Pi"
  else fail "the machine is $machine with a $bits-bit system" "install the 64-bit Raspberry Pi OS"; fi
}

check_memory() {
  local mib
  mib=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
  if ((mib >= min_memory_mib)); then ok "memory: $mib MiB"
  else fail "memory: $mib MiB" "the stack is meant for a Pi with 4 GB or more"; fi
}

check_disk() {
  local place=/var/lib/docker mib
  [ -d "$place" ] || place=/var/lib
  mib=$(df --output=avail --block-size=1M "$place" | tail -n 1 | tr -d ' ')
  if ((mib >= min_disk_mib)); then ok "disk: $mib MiB free in $place"
  else fail "disk: $mib MiB free in $place" "free $min_disk_mib MiB; an SSD lasts longer than an SD card"; fi
}

check_clock() {
  # Nothing is signed while the clock is more than a minute away from the chain's.
  local synchronised
  synchronised=$(timedatectl show --property=NTPSynchronized --value 2>/dev/null || true)
  case $synchronised in
    yes) ok "clock: synchronised" ;;
    no) fail "clock: not synchronised" "timedatectl set-ntp true, then wait a minute" ;;
    *) note "clock: nobody here can say whether it is synchronised; it is $(date --utc +%FT%TZ)" ;;
  esac
}

check_limits() {
  if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null || [ -d /sys/fs/cgroup/memory ]; then
    ok "the kernel can limit memory"
  elif [ "$install" = yes ] && [ -f "$boot_settings" ]; then
    grep -qw cgroup_enable=memory "$boot_settings" \
      || sed -i '1s/$/ cgroup_enable=memory cgroup_memory=1/' "$boot_settings"
    fail "the kernel could not limit memory" "turned on in $boot_settings: reboot, then run this again"
  else
    fail "the kernel cannot limit memory" \
      "add 'cgroup_enable=memory cgroup_memory=1' to the line in $boot_settings and reboot (--install does)"
  fi
}

check_engine() {
  local version
  if [ "$install" = yes ] && ! command -v docker >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends \
      docker.io docker-cli docker-compose docker-buildx apparmor ca-certificates
  fi
  if ! command -v docker >/dev/null; then
    fail "there is no container engine" "run this with --install as root"
    return
  fi
  version=$(docker version --format '{{.Server.Version}}' 2>/dev/null || true)
  if [ -z "$version" ]; then
    fail "the engine does not answer" "start it, or join its group: usermod -aG docker \$USER, log in again"
  elif ((${version%%.*} < min_engine)); then
    fail "the engine is $version" "version $min_engine or newer is needed: Debian 13 has it"
  else ok "engine $version"; fi
  if docker compose version >/dev/null 2>&1; then ok "compose $(docker compose version --short)"
  else fail "docker compose is missing" "apt-get install docker-compose"; fi
  if docker buildx version >/dev/null 2>&1; then ok "buildx is there"
  else note "buildx is missing: images cannot be built here, only loaded"; fi
}

check_callers() {
  if [ "$install" = yes ] && [ -d /run/systemd/system ]; then
    install -m 644 "$(dirname "$0")/$closing" "/etc/systemd/system/$closing"
    systemctl daemon-reload
    systemctl enable --quiet --now "$closing" || true
  fi
  if systemctl is-active --quiet "$closing" 2>/dev/null; then ok "the callers' network is closed to the outside"
  else note "the callers' network is not closed to the outside by a rule: --install does, where systemd runs"; fi
}

if [ "$install" = yes ] && [ "$(id -u)" != 0 ]; then
  echo "--install needs root" >&2
  exit 2
fi
check_machine
check_memory
check_disk
check_clock
check_limits
check_engine
check_callers
exit "$failed"
