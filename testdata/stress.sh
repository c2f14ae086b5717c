#!/usr/bin/env bash
# Runs every test of some packages COUNT times while two busy loops load the CPU: `make stress`. It prints the events of
# `go test -json`.
set -euo pipefail
cd "$(dirname "$0")/.."
if (($# < 2)); then
  echo "usage: make stress PACKAGES=./internal/load/... [COUNT=50]" >&2
  exit 2
fi
count=$1
shift

loops=()
trap 'kill "${loops[@]}" 2>/dev/null || true' EXIT
for _ in 1 2; do
  while kill -0 $$ 2>/dev/null; do :; done & # ends with this script, even if it is killed
  loops+=($!)
done

export GOEXPERIMENT=jsonv2
.cache/brokers go test -json -race -count="$count" -timeout 3h "$@"
