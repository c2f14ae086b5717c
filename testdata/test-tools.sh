#!/usr/bin/env bash
# What the tests need beside Go: installed where we may (as root on Debian), named where we may not. The brokers' packages
# would start daemons; here none is started, now or at the next boot, unless it was installed before.
set -euo pipefail

missing=()
need() { # package, then the names under one of which its program is found
  local package=$1 program
  shift
  for program; do
    if command -v "$program" >/dev/null; then return; fi
  done
  missing+=("$package")
}
need nodejs node
need npm npm
need tmux tmux
need gcc "$(go env CC)"
need redis-server redis-server
need nats-server nats-server /usr/sbin/nats-server
need rabbitmq-server /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server

policy=/usr/sbin/policy-rc.d # what Debian asks whether it may start a service; 101 is no
forbid_daemons() {
  if [[ -e $policy ]]; then return; fi # somebody has an opinion already
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
}

# stop_daemon ends what the package started all the same, and its start at boot. Only for packages that were just installed.
stop_daemon() { # service, user
  if [[ -d /run/systemd/system ]]; then systemctl disable --now --quiet "$1" || true; fi
  if [[ -e /etc/init.d/$1 ]]; then update-rc.d "$1" disable || true; fi
  local process
  for process in /proc/[0-9]*; do
    if [[ $(stat -c %U "$process" 2>/dev/null) == "$2" ]]; then kill "${process#/proc/}" 2>/dev/null || true; fi
  done
}

install_missing() {
  echo "make test: installing ${missing[*]}" >&2
  forbid_daemons
  local package packages=("${missing[@]}") had_epmd=no
  if command -v epmd >/dev/null; then had_epmd=yes; fi
  for package in "${missing[@]}"; do
    if [[ $package == gcc ]]; then packages+=(libc6-dev); fi
  done
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null
  for package in "${missing[@]}"; do
    case $package in
      redis-server) stop_daemon redis-server redis ;;
      nats-server) stop_daemon nats-server nats ;;
      rabbitmq-server) stop_daemon rabbitmq-server rabbitmq ;;
    esac
  done
  if [[ $had_epmd == no ]]; then stop_daemon epmd epmd; fi # Erlang's, which came with RabbitMQ
}

if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null || (($(id -u) != 0)); then
    echo "make test needs ${missing[*]} (Node.js for the NestJS peers, tmux for the terminal tests, a C compiler for the race detector, the brokers for their transports): install them and try again" >&2
    exit 1
  fi
  install_missing
fi

major=$(node -p 'process.versions.node.split(".")[0]')
if ((major < 20)); then
  echo "make test needs Node.js 20 or later for NestJS 12, and this is $major: install a newer one and try again" >&2
  exit 1
fi
