#!/usr/bin/env bash
# Runs the checks of `make test`: lint, the tests of PACKAGES, and the coverage of runtime/. It prints the events of
# `go test -json`, in which lint and coverage appear as tests of the package "make". internal/dev/testsum summarizes them
# and decides the exit code.
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'kill $(jobs -p) 2>/dev/null || true; exit 130' INT TERM

module=github.com/msctl/msctl
everything=$module/...
packages=${*:-$everything}
cover=.cache/cover.out

# Packages whose tests mostly start other programs, of which the race detector sees nothing, or compute in one goroutine. It
# only makes these tests slower.
without_race="^$module/(cmd/msctl|internal/(dev/.*|scaffold|printcode|nestsource.*|load/(report|compare)|test/(arch|attack|deploy|oracle|testenv))"
without_race+="|runtime/(wire|internal/js.*|micro/internal/plain))$"

# check NAME COMMAND… reports the outcome of a command as that of a test.
check() {
  local name=$1 outcome=pass
  shift
  "$@" 2>&1 || outcome=fail
  printf '{"Action":"%s","Package":"make","Test":"%s"}\n' "$outcome" "$name"
}

status=0
# tests N FLAG… runs go test, N packages at a time. Failed tests are in its events; the status covers a run that breaks before them. Two
# runs share the cores, so more packages would only make all of them slower. Lint includes vet.
tests() {
  go test -json -vet=off -p "$1" -timeout 60m "${@:2}" || status=$?
}

lint() {
  if make -s lint-tools; then
    check lint make -s lint
  else
    echo "lint is skipped: golangci-lint cannot be built"
    printf '{"Action":"skip","Package":"make","Test":"lint"}\n'
  fi
}

# The coverage of runtime/ is that of its own tests, in two profiles: with the race detector, and without.
enough_coverage() {
  { echo "mode: atomic" && grep -hv '^mode:' "$cover".race "$cover".plain; } >"$cover"
  go tool cover -func="$cover" | awk '/^total:/ {sub("%", "", $3); print "coverage of runtime/: " $3 "%, at least 90% required"; exit $3 < 90}'
}

race=-race
if ! command -v "$(go env CC)" >/dev/null; then race=; fi
export GOEXPERIMENT=jsonv2
all=$(go list $packages)
mapfile -t racing < <(grep -vE "$without_race" <<<"$all")
mapfile -t others < <(grep -E "$without_race" <<<"$all")
covering=() # packages of runtime/, which are counted
if [[ $packages == "$everything" ]]; then
  mapfile -t covering < <(printf '%s\n' "${racing[@]}" | grep "^$module/runtime")
  mapfile -t racing < <(printf '%s\n' "${racing[@]}" | grep -v "^$module/runtime")
fi

# counting PROFILE FLAG… runs tests, two packages at a time, and writes which statements of runtime/ they reach.
counting() {
  tests 2 -covermode=atomic "-coverpkg=$module/runtime/..." -coverprofile="$cover.$1" "${@:2}"
}

# The tests without the race detector mostly wait for other programs, so they run at the same time as those with it. Their
# events go to a file, because lines of two writers could mix. What depends on jsonv2 is tested without it, too, because
# workspaces are built without it.
without_detector() {
  if ((${#others[@]})); then tests 1 "${others[@]}"; fi
  if ((${#covering[@]})); then
    GOEXPERIMENT= counting plain "$module/runtime/wire" "$module/runtime/internal/js/..." "$module/runtime/micro/..."
  fi
  exit "$status"
}

if [[ $packages == "$everything" ]]; then lint; fi
without_detector >"$cover.events" &
if ((${#racing[@]})); then tests 2 $race "${racing[@]}"; fi
if ((${#covering[@]})); then counting race $race "${covering[@]}"; fi
wait $! || status=$?
cat "$cover.events"
if ((${#covering[@]})); then check coverage enough_coverage; fi
exit "$status"
