#!/usr/bin/env bash
# Creates the pictures of docs/bench.md: screens of msctl in a real terminal, drawn by internal/dev/ansisvg. `make
# pictures` calls it with the paths of msctl and ansisvg. It requires tmux and a quiet machine, and takes five minutes.
set -euo pipefail

msctl=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
ansisvg=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
images=$(cd "$(dirname "$0")/../docs/images" && pwd)
folder=$(mktemp -d)
mocks=()

tmux() { command tmux -S "$folder/tmux" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null || true; [[ -z ${mocks[*]-} ]] || kill "${mocks[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT

# terminal NAME COLUMNSxROWS COMMAND… starts a command in a new terminal, which stays open after the command.
terminal() {
  local name=$1 size=$2
  shift 2
  tmux new-session -d -s "$name" -x "${size%x*}" -y "${size#*x}" \
    "env TERM=xterm-256color COLORTERM=truecolor $(printf '%q ' "$@"); touch '$folder/$name.done'; sleep 1000"
}

# shown NAME PATTERN waits until the screen of a terminal matches a pattern.
shown() {
  local tries=0
  until tmux capture-pane -p -t "$1" | grep -qE "$2"; do
    (( ++tries < 900 )) || { echo "pictures: timed out waiting until $1 shows $2" >&2; exit 1; }
    sleep 0.2
  done
}

over() { # NAME waits until the command has ended and the screen is stable
  until [[ -f $folder/$1.done ]]; do sleep 0.2; done
  sleep 0.5
}

# picture NAME FILE TITLE [OPTION…] draws the screen of a terminal. The options are for tmux capture-pane.
picture() {
  local name=$1 file=$2 title=$3
  shift 3
  tmux capture-pane -e -p "$@" -t "$name" > "$folder/$file"
  "$ansisvg" -title "$title" < "$folder/$file" > "$folder/$file.svg"
  mv "$folder/$file.svg" "$images/$file.svg"
  echo "docs/images/$file.svg"
}

# mock starts a service with a capacity of 100 requests per second, and sets address to its address.
mock() {
  local log=$folder/mock${#mocks[@]}
  "$msctl" mock --capacity 100/s --listen 127.0.0.1:0 --color never 2> "$log" > /dev/null < /dev/null &
  mocks+=($!)
  until address=$(grep -oE 'tcp://[0-9.:]+' "$log"); do sleep 0.1; done
}

terminal demo 120x34 "$msctl" bench --demo
shown demo '1[67](\.[0-9])?s of [0-9]+s'
picture demo bench-demo-storm 'msctl bench --demo: the storm'
over demo
picture demo bench-demo-end 'msctl bench --demo: the outcome' -S -

mock
terminal run 80x24 "$msctl" bench cmd=work --to "$address" --rate 65/s --policy backoff --budget 20% --fault stall@4s+2s --duration 16s
shown run '1[34](\.[0-9])?s of 16s'
picture run bench-run 'msctl bench: one run with a stall'
over run

mock
"$msctl" bench cmd=work --to "$address" --rate 65/s --policy backoff --fault stall@3s+3s --duration 18s \
  --sweep retries=0,1,3 --sweep budget=none,10%,20% --no-tui --save "$folder/sweep.json" >/dev/null 2>&1
terminal sweep 80x24 bash -c "'$msctl' bench report '$folder/sweep.json' --color always | sed -E '/generator|suggestion/,\$d'"
over sweep
picture sweep bench-sweep 'msctl bench --sweep: the matrix'
