#!/bin/bash
# Make stand-ins of the two base images from Debian packages alone: bases.sh FOLDER
#
# They have the layout of the real ones, so that Dockerfiles, ABI and hardening are proved where no
# container registry is reachable. FOLDER then holds rootfs-amd64.tar and rootfs-arm64.tar (runtime)
# and builder.tar. Needs root; apt's sources are the machine's own with the suite replaced.
set -euo pipefail

readonly out=$1
readonly suite=trixie
readonly python=3.13
readonly packages=(
  base-files netbase tzdata tzdata-legacy media-types ca-certificates
  libc6 libssl3t64 libzstd1 libgomp1 libstdc++6 libgcc-s1 gcc-14-base libbz2-1.0 libdb5.3t64
  libexpat1 liblzma5 libsqlite3-0 libuuid1 libncursesw6 libtinfo6 zlib1g libcom-err2 libcrypt1
  libgssapi-krb5-2 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 libnsl2 libreadline8t64
  libtirpc3t64 libffi8 libpython3.13-minimal libpython3.13-stdlib python3.13-minimal
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

sources() {
  local own
  own=$(awk -F= '$1 == "VERSION_CODENAME" {print $2}' /etc/os-release)
  sed "s/$own/$suite/g" /etc/apt/sources.list.d/debian.sources
}

apt_for() { # ARCHITECTURE: writes a private configuration and names it
  local arch=$1 home=$work/$1
  mkdir -p "$home"/{lists,cache/archives}/partial "$home/debs"
  : > "$home/status"
  sources > "$home/debian.sources"
  cat > "$home/apt.conf" <<CONF
Dir::Etc::sourcelist "$home/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$home/lists";
Dir::State::status "$home/status";
Dir::Cache "$home/cache";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
CONF
  echo "$home/apt.conf"
}

runtime() { # ARCHITECTURE
  local arch=$1 root=$work/$1/root conf deb
  conf=$(apt_for "$arch")
  APT_CONFIG=$conf apt-get -qq update
  (cd "$work/$arch/debs" && APT_CONFIG=$conf apt-get -qq download "${packages[@]}")
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  for deb in "$work/$arch"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$root" -x --keep-directory-symlink -p
  done
  rm -rf "$root"/usr/share/{man,lintian,bug,doc}
  rm -f "$root"/usr/bin/{sh,dash,bash}
  mkdir -p "$root"/{etc/ssl/certs,root,home/nonroot,tmp,proc,sys,dev,run}
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
  ln -sf "python$python" "$root/usr/bin/python"
  ln -sf "python$python" "$root/usr/bin/python3"
  chmod 1777 "$root/tmp"
  chmod 700 "$root/root" "$root/home/nonroot"
  chown 65532:65532 "$root/home/nonroot"
  printf '%s\n' root:x:0:0:root:/root:/sbin/nologin \
    nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin \
    nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin > "$root/etc/passwd"
  printf '%s\n' root:x:0: nobody:x:65534: tty:x:5: staff:x:50: nonroot:x:65532: > "$root/etc/group"
  echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
  tar -C "$root" --numeric-owner --sort=name -cf "$out/rootfs-$arch.tar" .
}

builder() {
  local root=$work/builder
  sources > "$work/builder.sources"
  mmdebstrap --quiet --variant=apt --include=python3,python3-venv,python3-pip,ca-certificates \
    "$suite" "$root" "$work/builder.sources"
  rm -f "$root/usr/lib/python$python/EXTERNALLY-MANAGED"
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  ln -s "/usr/bin/python$python" "$root/usr/local/bin/python"
  tar -C "$root" --numeric-owner --sort=name -cf "$out/builder.tar" .
}

mkdir -p "$out"
builder &
jobs=($!)
for arch in amd64 arm64; do
  runtime "$arch" &
  jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
