#!/bin/bash
# Ask the running stack whether it works: every container healthy, and a call with the operator's token.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
say() { # WORD WHAT
  printf '%-8s %s\n' "$1" "$2"
  if [ "$1" != ok ]; then failed=1; fi
}

services=(tron-client payout-router wallet-manager usdt-manager trx-staking payment-gateway)
for service in "${services[@]}"; do
  state=$(docker compose ps --all --format '{{.State}} {{.Health}}' "$service" 2>/dev/null || true)
  if [ "$state" = "running healthy" ]; then say ok "$service is healthy"
  else say failed "$service: ${state:-there is no such container}"; fi
done

token=$(docker compose run --rm -T setup token)
ask() { # SERVICE PORT PATH
  local place
  place=$(docker compose port "$1" "$2")
  # the token goes by standard input, so that it is in no list of processes
  printf 'header = "Authorization: Bearer %s"\n' "$token" \
    | curl --silent --show-error --max-time 10 --output /dev/null --write-out '%{http_code}' \
        --config - "http://$place$3"
}
for call in "payment-gateway 8096 /health/ready" "payout-router 8092 /health/ready" \
  "payment-gateway 8096 /api/v1/tron/network/status" "payout-router 8092 /api/v1/payouts/history"; do
  read -r service port path <<< "$call"
  status=$(ask "$service" "$port" "$path" || true)
  if [ "$status" = 200 ]; then say ok "$service answers $path"
  else say failed "$service answers $path with ${status:-nothing}"; fi
done
exit "$failed"
