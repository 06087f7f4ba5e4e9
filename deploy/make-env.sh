#!/bin/sh
# Writes .env (or the file named) with fresh secrets for docker-compose.yml, readable by its owner only. An existing
# file is kept: InfluxDB and Grafana take these values at their first start only. Beside it is config/, for maps.
set -eu

file=${1:-"$(dirname "$0")/../.env"}
secret() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

if [ -e "$file" ]; then
  echo "$file exists already: it is kept" >&2
  exit 1
fi
# Docker would make it root's.
mkdir -p "$(dirname "$file")/config/maps" "$(dirname "$file")/config/devices"
umask 077
# noclobber: the file is made by this run, or not at all.
set -C
cat >"$file" <<EOF
INFLUX_ADMIN_PASSWORD=$(secret 16)
INFLUX_ADMIN_TOKEN=$(secret 32)
GRAFANA_ADMIN_PASSWORD=$(secret 16)
EOF
echo "wrote $file: users are telltale (InfluxDB) and admin (Grafana)"
