#!/bin/bash
# The demo against the running containers: demo.sh PYTHON
#
# It needs the devnet and debug overlays. The operator's token is handed over in a folder that only
# this user can read and that is gone at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/secrets/operator"
docker compose run --rm -T setup token > "$folder/secrets/operator/operator.token"

if [ -f .env ]; then
  while IFS='=' read -r name value; do
    case $name in
      \#*) ;;
      *_PORT) export "$name=$value" ;;
    esac
  done < .env
fi
LUCID_DATA_DIR=$folder "$1" -m services demo
