#!/usr/bin/env bash
# Prints readings as they come, a frame a line, and after a break goes on where it was: Server-Sent Events, with curl.
#
#   TELLTALE_URL=http://127.0.0.1:8080 TELLTALE_TOKEN=... bash follow.sh devices/+/telemetry/environment
set -uo pipefail

url=${TELLTALE_URL:-http://127.0.0.1:8080}
filter=${1:-devices/+/telemetry/environment}
filter=${filter//+/%2B}
cursor=

while true; do
  resume=() status=000
  [[ -n $cursor ]] && resume=(--header "Last-Event-ID: $cursor")
  while IFS=' ' read -r field value; do
    case $field in
      id:) cursor=$value ;;
      event:) event=$value ;;
      status:) status=$value ;;
      data:) [[ $event == readings || $event == gap ]] && printf '%s\n' "$value" ;;
    esac
  done < <(curl --silent --show-error --fail --no-buffer --write-out '\nstatus: %{http_code}\n' "${resume[@]}" \
    --header "Authorization: Bearer ${TELLTALE_TOKEN:-}" "$url/v1/stream?filter=${filter//#/%23}&last=5m")
  # Such as 401, when the token has expired: the same would happen again.
  [[ $status == 4* && $status != 429 ]] && exit 1
  sleep "$((RANDOM % 2)).$RANDOM"
done
