#!/bin/sh
# What the images are built with, run in the builder stage: build.sh STEP …
#
#   dependencies ARCHITECTURE   wheels of docker/requirements.lock alone, into /out/opt/deps
#   bytecode                    the runtime's standard library at /stdlib, compiled, into /out/usr/lib
#   application PACKAGE …       code of these packages and modules from /src, into /out/opt/app
#   bill IMAGE VERSION          the bill of materials, into /out/opt/app
#   data OWNER …                empty data folders of these services, into /out/data
#
# Everything is dated SOURCE_DATE_EPOCH and compiled by content, so that two builds are alike.
set -eu

readonly python=3.13

dated() { # FOLDER
  find "$1" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
}

compiled() { # FOLDER PLACE-IN-THE-IMAGE
  python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$1" -p "$2" "$1"
}

dependencies() {
  case $1 in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) echo "no wheels are known for $1" >&2; exit 2 ;;
  esac
  if [ -s /run/secrets/pip_ca ]; then export PIP_CERT=/run/secrets/pip_ca; fi
  python -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore \
    --no-compile --no-deps --only-binary=:all: --require-hashes \
    --implementation cp --python-version "$python" \
    --platform "manylinux_2_28_$machine" --platform "manylinux2014_$machine" \
    --target=/out/opt/deps --requirement /lock
  rm -rf /out/opt/deps/bin /out/opt/deps/Crypto/SelfTest
  find /out/opt/deps -name '*.pyi' -delete
  compiled /out/opt/deps /opt/deps
  dated /out
}

bytecode() {
  mkdir -p /out/usr/lib
  cp -R /stdlib "/out/usr/lib/python$python"
  for unused in ensurepip idlelib test tkinter turtledemo; do
    rm -rf "/out/usr/lib/python$python/$unused"
  done
  compiled "/out/usr/lib/python$python" "/usr/lib/python$python"
  find /out/usr -type f ! -name '*.pyc' -delete
  find /out/usr -type l -delete
  find /out/usr -type d -empty -delete
  dated /out
}

application() {
  mkdir -p /out/opt/app
  for part in "$@"; do
    mkdir -p "$(dirname "/out/opt/app/$part")"
    cp -R "/src/$part" "/out/opt/app/$part"
  done
  find /out/opt/app -name '__pycache__' -prune -exec rm -rf {} +
  cp /src/docker/health.py /out/opt/app/health.py
  compiled /out/opt/app /opt/app
  dated /out
}

bill() {
  python /src/docker/bill.py /src/docker/requirements.lock "$@" > /out/opt/app/bill-of-materials.cdx.json
}

data() {
  root=/out/data/payment-systems
  mkdir -p "$root/keys" "$root/backups"
  for owner in "$@"; do mkdir -p "$root/$owner" "$root/secrets/$owner"; done
  find "$root" -type d -exec chmod 0700 {} +
  dated /out
}

step=$1
shift
"$step" "$@"
