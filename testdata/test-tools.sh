#!/usr/bin/env bash
# Installs what the tests need besides Go: as root on Debian with apt-get, and NestJS with npm. Where that is not possible,
# it reports what is missing and how to get it. It prints the environment that makes tests fail, instead of being skipped,
# when their peer is missing: for every peer that is available, and with CI set for all of them.
#
# The packages of the brokers start daemons. None of them keeps running, and none starts at the next boot, unless it was
# installed before.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A purpose=(
  [nodejs]='the NestJS peers (Node.js 20 or later, https://nodejs.org)'
  [npm]='installing NestJS (https://nodejs.org)'
  [gcc]='the race detector (any C compiler, such as gcc or clang)'
  [redis-server]='the Redis transport (https://redis.io)'
  [nats-server]='the NATS transport (https://nats.io)'
  [rabbitmq-server]='the RabbitMQ transport (https://www.rabbitmq.com)'
)

# has reports whether one of the programs is installed.
has() {
  local program
  for program; do
    if command -v "$program" >/dev/null; then return 0; fi
  done
  return 1
}

# find_missing sets missing to the Debian packages that are not installed.
find_missing() {
  missing=()
  has node || missing+=(nodejs)
  has npm || missing+=(npm)
  has "$(go env CC)" || missing+=(gcc)
  has redis-server || missing+=(redis-server)
  has nats-server /usr/sbin/nats-server || missing+=(nats-server)
  has /usr/lib/rabbitmq/bin/rabbitmq-server /opt/homebrew/sbin/rabbitmq-server rabbitmq-server || missing+=(rabbitmq-server)
}

policy=/usr/sbin/policy-rc.d # Debian asks it whether it may start a service; exit code 101 forbids it
forbid_daemons() {
  if [[ -e $policy ]]; then return; fi # this machine has a policy of its own
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
}

# stop_daemon SERVICE USER stops a daemon that a package started in spite of the policy, and its start at boot. Call it
# only for a package that was just installed.
stop_daemon() {
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
  if has epmd; then had_epmd=yes; fi
  for package in "${missing[@]}"; do
    if [[ $package == gcc ]]; then packages+=(libc6-dev); fi
  done
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null ||
    echo "make test: apt-get failed" >&2
  for package in "${missing[@]}"; do
    case $package in
      redis-server) stop_daemon redis-server redis ;;
      nats-server) stop_daemon nats-server nats ;;
      rabbitmq-server) stop_daemon rabbitmq-server rabbitmq ;;
    esac
  done
  if [[ $had_epmd == no ]]; then stop_daemon epmd epmd; fi # Erlang's, which RabbitMQ brings along
}

# install_nest fails unless all versions of NestJS are installed, with a Node.js that runs them.
install_nest() {
  if ! has node || ! has npm; then return 1; fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  if ((major < 20)); then
    echo "make test: NestJS 12 requires Node.js 20 or later, and this is Node.js $major" >&2
    return 1
  fi
  if ! make -s nest >&2; then
    echo "make test: npm cannot install NestJS" >&2
    return 1
  fi
}

# install_browser installs Chromium for the tests of web pages, which are skipped without it. Other systems than
# Debian may not have the package.
install_browser() {
  echo "make test: installing chromium" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 ||
    echo "make test: chromium cannot be installed; the tests of web pages are skipped" >&2
}

if [[ -n ${CI-} ]] && ! has chromium chromium-browser google-chrome && has apt-get && (($(id -u) == 0)); then
  install_browser
fi
find_missing
if ((${#missing[@]})) && has apt-get && (($(id -u) == 0)); then
  install_missing
  find_missing
fi
for package in "${missing[@]}"; do
  echo "make test: $package is not installed; it is required for ${purpose[$package]}" >&2
done

# require NAME STATUS prints the variable for a kind of test: when what it needs is there (status 0), and always in CI.
require() {
  if [[ $2 == 0 || -n ${CI-} ]]; then echo "MSCTL_TEST_$1=required"; fi
}

status=0
install_nest || status=$?
require NEST $status

status=0
case " ${missing[*]} " in *redis-server* | *nats-server* | *rabbitmq-server*) status=1 ;; esac
require BROKERS $status

status=0
go list -m golang.org/x/mod@latest >/dev/null 2>&1 || status=$? # reaches the module proxy
require NETWORK $status
