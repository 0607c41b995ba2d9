#!/bin/sh
# Installs the Debian 12 packages that reeve needs. Idempotent: installed packages are left alone. Needs root or sudo.
#
#   deploy/setup.sh          packages to build and run reeve (git makes workspaces)
#   deploy/setup.sh demo     also packages for the agents of the quickstart
#   deploy/setup.sh tests    also packages for the tests
set -eu

build="g++ cmake ninja-build pkg-config ca-certificates libuv1-dev node-llhttp rapidjson-dev libsqlite3-dev
  libcurl4-openssl-dev libssl-dev libtomlplusplus-dev libspdlog-dev libfmt-dev libwslay-dev
  libqrencode-dev git"
demo="procps curl"
tests="$demo ccache clang clang-format clang-tidy libclang-rt-14-dev valgrind libgtest-dev libgmock-dev chromium tmux
  bash zsh fish groff-base make python3 python3-websockets python3-certifi python3-dateutil python3-urllib3"

case "${1:-build}" in
  build) wanted=$build ;;
  demo) wanted="$build $demo" ;;
  tests) wanted="$build $tests" ;;
  *) echo "setup: unknown set '$1': use build, demo or tests" >&2; exit 64 ;;
esac
# The agents of the quickstart and the browser tests need Node. A Node from another source is used as it is.
if [ "${1:-build}" != build ]; then
  command -v node >/dev/null || wanted="$wanted nodejs"
  command -v npm >/dev/null || wanted="$wanted npm"
fi
# The test that generates a Python client needs Java.
[ "${1:-build}" != tests ] || command -v java >/dev/null || wanted="$wanted default-jre-headless"

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "setup: everything is installed"
  exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "setup: root or sudo is needed to install:$missing" >&2; exit 77; }
  as_root=sudo
fi
echo "setup: installing$missing (a minute or two)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs apt-get. If another program holds one of its locks, as unattended-upgrades does after a boot, waits at most ten
# minutes for it.
apt() {
  tries=0
  until $as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1; do
    grep -Eq 'Could not get lock|Unable to (acquire|lock)' "$log" || return 1
    [ "$tries" != 0 ] || echo "setup: another program is installing packages; waiting for it"
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || return 1
    sleep 5
  done
}

# shellcheck disable=SC2086  # one word per package
if ! { apt update -q && apt install -y -q --no-install-recommends $missing; }; then
  tail -n 20 "$log" >&2
  echo "setup: could not install:$missing" >&2
  exit 69
fi
echo "setup: done"
