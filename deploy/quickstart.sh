#!/bin/bash
# Shows reeve at work: installs its dependencies, builds it, starts the daemon on loopback with two agents, and prints
# the address to open. One agent is a real program, the other a real kilo server that works with the project's own model
# server. Ctrl-C ends everything.
#
#   deploy/quickstart.sh           runs until Ctrl-C
#   deploy/quickstart.sh --check   ends once both agents have done work; for the tests
set -euo pipefail
cd "$(dirname "$0")/.."

check=
case "${1:-}" in
  "") ;;
  --check) check=-DREEVE_WERROR=ON ;;  # the tests have compiled the same files with these options
  *) echo "quickstart: unknown argument '$1'" >&2; exit 64 ;;
esac
say() { printf '\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '%s\n' "$*"; }

say "1/4  installing"
deploy/setup.sh demo || deploy/setup.sh build

# Shows how far ninja is, whose lines begin with [DONE/ALL]: on a terminal in one line, otherwise at every tenth.
progress() {
  local line percent last=-1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    percent=$((BASH_REMATCH[1] * 100 / BASH_REMATCH[2]))
    if [ -t 1 ]; then
      printf '\r     %3d %%' "$percent"
    elif [ $((percent / 10)) != "$last" ]; then
      last=$((percent / 10))
      echo "     $percent %"
    fi
  done
  [ ! -t 1 ] || echo
}

say "2/4  building (usually 5 minutes on 2 cores, 2 minutes on 8; seconds if it was built before)"
mkdir -p build
if ! { cmake --preset release $check && cmake --build --preset release; } 2>&1 | tee build/quickstart.log | progress; then
  tail -n 30 build/quickstart.log >&2
  exit 1
fi
reeve=$PWD/build/release/reeve

# Installs only kilo, in the version that the tests pin.
fetch_kilo() {
  mkdir -p build/quickstart
  node -e '
    const fs = require("node:fs"), name = "@kilocode/cli-linux-x64"
    const pinned = JSON.parse(fs.readFileSync("tests/e2e/agents/package-lock.json")).packages["node_modules/" + name]
    const root = { name: "reeve-quickstart", dependencies: { [name]: pinned.version } }
    const lock = { name: root.name, lockfileVersion: 3, packages: { "": root, ["node_modules/" + name]: pinned } }
    fs.writeFileSync("build/quickstart/package.json", JSON.stringify({ ...root, private: true }))
    fs.writeFileSync("build/quickstart/package-lock.json", JSON.stringify(lock))' &&
    npm ci --prefix build/quickstart --ignore-scripts --no-audit --no-fund
}

kilo=
if command -v npm >/dev/null && command -v node >/dev/null; then
  say "3/4  fetching kilo (about 290 MB, once)"
  if fetch_kilo >>build/quickstart.log 2>&1; then
    kilo=$PWD/build/quickstart/node_modules/@kilocode/cli-linux-x64/bin/kilo
  fi
  [ -n "$kilo" ] || say "     npm could not fetch kilo (see build/quickstart.log); continuing without it"
else
  say "3/4  npm is not installed; continuing without the kilo agent"
fi

say "4/4  starting"
demo=$(mktemp -d "${TMPDIR:-/tmp}/reeve-quickstart.XXXXXX")
daemon=
model=
finish() {
  trap - EXIT INT TERM
  [ -z "$daemon" ] || { kill -TERM "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; }
  [ -z "$model" ] || { kill -TERM "$model" 2>/dev/null || true; wait "$model" 2>/dev/null || true; }
  rm -rf "$demo"
}
trap finish EXIT
trap 'echo; say "stopping"; exit 0' INT TERM

# Waits until the file contains a matching line, and prints the text between the parentheses.
wait_for() {
  local found tries=0
  until found=$(sed -nE "s~$2~\1~p" "$1" 2>/dev/null | head -n 1) && [ -n "$found" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "quickstart: timed out while waiting for $2" >&2; cat "$demo"/*.err >&2; exit 1; }
    sleep 0.1
  done
  printf '%s' "$found"
}

"$reeve" serve --town quickstart --data "$demo/data" --listen "tcp://127.0.0.1:${REEVE_PORT:-0}" \
  >"$demo/reeve.out" 2>"$demo/reeve.err" &
daemon=$!
url=$(wait_for "$demo/reeve.out" 'reeve: listening on (.*)')
token=$(cat "$demo/data/token")
# The token is passed in a file, because an argument would be visible in the list of processes.
printf 'header = "Authorization: Bearer %s"\nsilent\nshow-error\nfail-with-body\n' "$token" >"$demo/curlrc"
api() { curl --config "$demo/curlrc" "$@"; }

api -o /dev/null "$url/agents" -d '{"id":"vmstat","kind":"process","title":"A real program: vmstat","command":["vmstat","-t","2"]}'

if [ -n "$kilo" ]; then
  node tests/support/mock-llm.mjs --port 0 --delay 40 >"$demo/model.out" 2>"$demo/model.err" &
  model=$!
  port=$(wait_for "$demo/model.out" '.*"port":([0-9]+).*')
  mkdir -p "$demo/work" "$demo/home"
  cp README.md "$demo/work/"
  config=$(cat <<EOF
{"autoupdate":false,"share":"disabled","model":"mock/mock-1","small_model":"mock/mock-1","enabled_providers":["mock"],
"provider":{"mock":{"npm":"@ai-sdk/openai-compatible","name":"Mock","options":{"baseURL":"http://127.0.0.1:$port/v1","apiKey":"dummy"},
"models":{"mock-1":{"name":"Mock 1","tool_call":true,"limit":{"context":128000,"output":8192}}}}},"permission":{"bash":"ask","edit":"ask"}}
EOF
)
  node -e '
    const [kilo, work, home, config] = process.argv.slice(1)
    process.stdout.write(JSON.stringify({
      id: "kilo", kind: "kilo", title: "A real kilo server", command: [kilo], cwd: work,
      env: { KILO_CONFIG_CONTENT: config, HOME: home, XDG_CONFIG_HOME: home + "/config", XDG_DATA_HOME: home + "/data",
             XDG_CACHE_HOME: home + "/cache", XDG_STATE_HOME: home + "/state" },
      permissions: { default: "allow" },
      prompt: "Please look around: TOOL[ls -la; head -n 5 README.md] and tell me what you see. LONG=60",
    }))' "$kilo" "$demo/work" "$demo/home" "$config" >"$demo/kilo.json"
  api -o /dev/null "$url/agents" -d @"$demo/kilo.json"
fi

say "reeve is running. Open this address in one or several browsers:"
echo
echo "    $url/#token=$token"
echo
if [ -n "$check" ]; then
  api "$url/agents/vmstat/events?types=agent.output" | grep -q '"text"' || { sleep 2; api "$url/agents/vmstat/events" | grep -q '"agent.output"'; }
  say "vmstat has printed output"
  if [ -n "$kilo" ]; then
    api "$url/agents/kilo/wait?until=terminal&timeout_ms=50000" | grep '"status":"completed"' >/dev/null
    api "$url/agents/kilo/events?types=tool.completed" | grep -q '"tool.completed"'
    say "kilo has used a tool and completed its run"
  fi
  exit 0
fi
say "Ctrl-C ends everything."
wait "$daemon"
