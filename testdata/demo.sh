#!/usr/bin/env bash
# Shows msctl to a newcomer: it creates a workspace, runs it, calls it through its gateway and directly, load-tests it, and
# stops it. `make demo` calls this script with the path of msctl. It requires Go, and uses curl if it is installed.
set -euo pipefail

msctl=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
folder=$(mktemp -d)
started=$SECONDS
runner= token=? principal=?

stop() {
  [[ -z $runner ]] || kill -INT "$runner" 2>/dev/null || true
  [[ -z $runner ]] || wait "$runner" 2>/dev/null || true
  runner=
}
trap 'stop; rm -rf "$folder"' EXIT

fail() {
  echo "demo: $*" >&2
  [[ ! -f $folder/run.log ]] || tail -n 30 "$folder/run.log" >&2
  exit 1
}

bold= plain=
[[ ! -t 1 || -n ${NO_COLOR-} ]] || bold=$'\033[1m' plain=$'\033[0m'
step() { printf '\n%s%3ds  %s%s\n' "$bold" "$((SECONDS - started))" "$*" "$plain"; }
in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port prints the first free port among $1, $1 + 10, and so on.
free_port() {
  local port=$1
  while in_use "$port"; do port=$((port + 10)); done
  echo "$port"
}
gateway=$(free_port 3001) items=$(free_port 3002) orders=$(free_port 3003)

# show prints a command in the form in which it is typed, and runs it. If the command fails, the demo ends.
show() {
  local word line=
  for word in "${@/#$msctl/msctl}"; do
    case $word in
      "Authorization: Bearer $token") word='"Authorization: Bearer $TOKEN"' ;;
      "principal=$principal") word='"principal=$PRINCIPAL"' ;;
      *[!A-Za-z0-9_./:=@+-]*) word="'$word'" ;;
    esac
    line+=" $word"
  done
  printf '\n$%s\n' "$line"
  "$@" || fail "the command above failed"
}

# descendants prints the child processes of $1, and their descendants.
descendants() {
  local child
  for child in $(pgrep -P "$1" 2>/dev/null || true); do
    echo "$child"
    descendants "$child"
  done
}

http() { # METHOD PATH [JSON]
  local body=()
  [[ -z ${3-} ]] || body=(-H 'Content-Type: application/json' -d "$3")
  show curl -fsS -X "$1" "http://127.0.0.1:$gateway$2" -H "Authorization: Bearer $token" ${body[@]+"${body[@]}"}
  echo
}

step "msctl new: a gateway and two services"
cd "$folder"
show "$msctl" new shop --yes --gateway-port "$gateway" --service "items:tcp:$items" --service "orders:tcp:$orders"
cd shop

# Without folder names in the compiled packages, the next demo, in a different folder, finds them in Go's cache.
export GOFLAGS="${GOFLAGS-} -trimpath"

step "msctl run: build and start them in order (the first time, this compiles the gateway's libraries)"
"$msctl" run --no-watch >"$folder/run.log" 2>&1 &
runner=$!
for ((i = 0; ; i++)); do
  kill -0 "$runner" 2>/dev/null || fail "msctl run ended"
  grep -q '^gateway .*ready' "$folder/run.log" && break
  ((i < 600)) || fail "the workspace is not ready after two minutes"
  sleep 0.2
done
grep '^[a-z]* *│ \(built\|✓\)' "$folder/run.log" || true

step "msctl token: the API is closed to callers without a token; only administrators delete"
printf '\n$ TOKEN=$(msctl token --role admin)\n$ PRINCIPAL=$(msctl token --role admin --principal)\n'
token=$("$msctl" token --role admin) principal=$("$msctl" token --role admin --principal)

if command -v curl >/dev/null; then
  step "the five patterns of items, through the HTTP gateway"
  http POST /items '{"name":"Widget","price":9.99}'
  http GET /items
  id=$("$msctl" send cmd=findAllItems --jq '.[-1].id' -o raw)
  http GET "/items/$id"
  http PATCH "/items/$id" '{"price":12.5}'
  http DELETE "/items/$id"
else
  step "curl is not installed: skipping the calls through the HTTP gateway"
fi

step "the same five patterns, called directly"
show "$msctl" send cmd=createItem name=Gadget price:=19.99
id=$("$msctl" send cmd=findAllItems --jq '.[-1].id' -o raw)
show "$msctl" send '{"cmd":"findAllItems"}'
show "$msctl" send cmd=findOneItem id="$id"
show "$msctl" send '<"cmd":"updateItem">' id="$id" updateItemDto.price:=17.5
show "$msctl" send cmd=deleteItem id="$id" --meta "principal=$principal"

step "msctl bench: five seconds under load"
show "$msctl" bench cmd=findAllItems --rate 500/s --duration 5s --no-tui

step "stop"
pids=$(descendants "$runner")
[[ -n $pids ]] || ! command -v pgrep >/dev/null || fail "msctl run has no child processes"
stop
for port in "$gateway" "$items" "$orders"; do
  ! in_use "$port" || fail "port $port is still in use"
done
for pid in $pids; do
  ! kill -0 "$pid" 2>/dev/null || fail "process $pid is still running"
done
echo "$(wc -w <<<"$pids") processes stopped; no process is left, and no port is in use"
step "done"
