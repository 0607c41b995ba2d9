#!/bin/bash
# Installs, builds and runs all tests.
#
#   tests/run.sh                 everything, as CI does
#   tests/run.sh STEP...         some of: lint build test asan valgrind e2e quickstart fuzz versions soak
#
# REEVE_SKIP_AGENTS=1 skips the tests with real agents (claude, codex, kilo: 1 GB). FUZZ_SECONDS (10) is the time for
# each fuzz target, and FUZZ_SEED (1) its seed; another seed tries other inputs. versions needs the step build before
# it, and the history: it builds the commit before this one, or REEVE_OTHER, as well. soak needs the step build before
# it, too: it upgrades a hundred times, cuts a connection of the gateway a thousand times and opens ten thousand, and
# kills the daemon a thousand times in a scripted day and a thousand times while claude, codex, kilo and an ACP agent
# work (half an hour).
set -uo pipefail
cd "$(dirname "$0")/.."
all="build lint test e2e versions quickstart asan valgrind fuzz"
jobs=$(nproc)
passed=0
failed=0
mkdir -p build/logs
times=build/logs/times  # a line for each step, for the summary
: >"$times"

# step NAME COMMAND…: runs the command with its output in build/logs/NAME.log. On failure it shows the lines with errors
# and the end of the log. The end alone is not enough: the messages for one error can be long, and other compilers
# continue beside it.
step() {
  local name=$1 log="build/logs/$1.log" begin=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $name  ($((SECONDS - begin)) s)" | tee -a "$times"
    return 0
  fi
  failed=$((failed + 1))
  echo "FAIL  $name  ($((SECONDS - begin)) s)" | tee -a "$times"
  echo "      $log:"
  grep -nE '^FAILED: |error: |ERROR: |Killed signal|^Killed|Terminated|ninja: |No space left|\*\*\*Failed|\*\*\*Timeout' "$log" | cut -c -400 | head -n 40 | sed 's/^/      /'
  echo "      ... and the end of the log:"
  tail -n 60 "$log" | sed 's/^/      /'
  return 1
}

build() { cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs"; }

# Runs the tests of a build. Labels are the folders of tests/.
run_ctest() {
  local preset=$1
  shift
  # Tests whose outcome depends on time run alone. No test gets a second try: a flaky one is a fault to fix.
  local result=0
  # Most tests wait for real processes, so two for each core run at a time.
  ctest --test-dir "build/$preset" --output-on-failure -j $((2 * jobs)) --timeout 300 -LE timing "$@" || result=1
  ctest --test-dir "build/$preset" --output-on-failure --timeout 300 -L timing "$@" || result=1
  return "$result"
}

lint_format() {
  git ls-files -z '*.h' '*.cc' | xargs -0 clang-format --dry-run --Werror
}
# clang-tidy spends most of its time on headers. So it gets the sources of a folder in one file (a "unity build"), at most
# ten at a time: that takes a fraction of the time. The analyzer takes the included sources for headers. Names in anonymous namespaces must therefore differ within a folder.
lint_tidy() {
  local folder=build/tidy
  rm -rf "$folder" && mkdir -p "$folder"
  git ls-files 'process/*.cc' 'tickets/*.cc' 'orchestrator/*.cc' 'control/*.cc' | awk -v out="$folder" '
    { room = $0; sub("/[^/]*$", "", room); gsub("/", "_", room)
      if (count[room]++ % 10 == 0) file[room] = out "/" room "_" count[room] ".cc"
      print "#include \"" $0 "\"" >file[room] }'
  printf '%s\n' -xc++ -std=c++20 -I../.. -isystem/usr/share/include -isystem/usr/share/include/llhttp -DFMT_SHARED -DNDEBUG \
    '-DREEVE_VERSION="0"' -Wall -Wextra -Wshadow -Xclang -analyzer-opt-analyze-headers >"$folder/compile_flags.txt"
  ls -S "$folder"/*.cc | xargs -n 1 -P "$jobs" nice -n 19 clang-tidy --quiet --checks=-bugprone-suspicious-include
}

valgrind_core() {
  export -f valgrind_filter valgrind_program
  printf '%s\n' process orchestrator tickets | xargs -P "$jobs" -I{} bash -c 'valgrind_program {}'
}
valgrind_program() {
  valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --trace-children=no "build/dev/tests/$1_test" --gtest_brief=1 --gtest_filter="$(valgrind_filter "$1")"
}
# Under valgrind a program is thirty times slower, so only the tests of code that owns memory and libuv handles run, and
# none that tries every case of something: AddressSanitizer has those.
valgrind_filter() {
  case $1 in
    tickets) echo '*:-*Property*:*Bounded*' ;;
    orchestrator) echo 'EventLog*:-*Property*:*Disk*:*EachFlippedBit*:*DamageOfTheSums*:*WhereverItWasTorn*' ;;
    process) echo 'Loop*:Timer*:Watch*:Lines*:SseParser*:HttpClient*' ;;
  esac
}

e2e() {
  npm ci --prefix tests/e2e --no-audit --no-fund || return 1
  if [ -z "${REEVE_SKIP_AGENTS:-}" ]; then
    npm ci --prefix tests/e2e/agents --ignore-scripts --no-audit --no-fund || {
      echo "npm could not fetch the agents' programs (tests/e2e/agents); REEVE_SKIP_AGENTS=1 skips their tests"
      return 1
    }
  fi
  # One file at a time, because a browser and kilo each need two cores.
  local file failures=0
  for file in tests/e2e/*.test.mjs; do
    REEVE_BIN=build/dev/reeve node --test "$file" || failures=$((failures + 1))
  done
  [ "$failures" = 0 ]
}

fuzz() {
  build asan || return 1
  local seconds=${FUZZ_SECONDS:-10} seed=${FUZZ_SEED:-1}
  mkdir -p build/fuzz/corpus
  find build/asan/tests -maxdepth 1 -name '*_fuzz' -printf '%f\n' | sort |
    xargs -P "$jobs" -I{} sh -c '
      mkdir -p build/fuzz/corpus/{}
      dictionary=; [ -f tests/fuzz/{}.dict ] && dictionary=-dict=tests/fuzz/{}.dict
      seeds=; [ -d tests/fuzz/seeds/{} ] && seeds=tests/fuzz/seeds/{}
      build/asan/tests/{} -max_total_time='"$seconds"' -seed='"$seed"' -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -artifact_prefix=build/fuzz/ $dictionary build/fuzz/corpus/{} $seeds >build/logs/{}.log 2>&1 ||
        { echo "{} failed"; tail -n 40 build/logs/{}.log; exit 255; }
      tail -n 1 build/logs/{}.log'
}

# Builds an earlier commit, and runs its keeper with the daemon of this one, and the other way round.
versions() {
  local other=build/other
  rm -rf "$other/source" && mkdir -p "$other/source" && git archive "${REEVE_OTHER:-HEAD~1}" | tar -x -C "$other/source" &&
    (cd "$other/source" && cmake --preset dev && cmake --build --preset dev -j "$jobs" --target reeve reeve-keeper) &&
    npm ci --prefix tests/e2e --no-audit --no-fund &&
    REEVE_BIN=build/dev/reeve REEVE_OTHER_BIN="$other/source/build/dev/reeve" node --test tests/e2e/versions.test.mjs
}

# More of the same than CI has time for.
soak_upgrades() { REEVE_UPGRADES=100 build/dev/tests/integration_test --gtest_filter='*ManyUpgrades.*'; }
soak_gateway() {
  REEVE_CUTS=1000 REEVE_CONNECTIONS=10000 build/dev/tests/integration_test \
    --gtest_filter='Gateway.NothingIsMissedOrDoubledOverCuts:Gateway.NothingIsLeftOfConnections'
}
soak_day() { REEVE_CRASHES=1000 build/dev/tests/integration_test --gtest_filter='Day.NoAgentNotices*'; }
soak_agents() {
  npm ci --prefix tests/e2e --no-audit --no-fund &&
    npm ci --prefix tests/e2e/agents --ignore-scripts --no-audit --no-fund &&
    REEVE_HANDOVERS=1000 REEVE_UPGRADE_EVERY=0 REEVE_BIN=build/dev/reeve node --test tests/e2e/handover.test.mjs
}

deploy/setup.sh tests || exit 1
skipped=
tidy=
for name in ${*:-$all}; do
  case $name in
    build) step build build dev ;;
    lint)
      step format lint_format
      step prose tests/prose.sh
      tidy=1  # last of all, because it would slow down the tests that wait for real programs
      ;;
    test) step test run_ctest dev ;;
    asan) step asan-build build asan && step asan run_ctest asan ;;
    valgrind) step valgrind valgrind_core ;;
    e2e)
      if [ -n "${REEVE_SKIP_AGENTS:-}" ]; then
        skipped="REEVE_SKIP_AGENTS is set: THE TESTS WITH REAL AGENTS (claude, codex, kilo, acp) DID NOT RUN"
        echo "$skipped"
      fi
      step e2e e2e
      ;;
    quickstart) step quickstart deploy/quickstart.sh --check ;;
    fuzz) step fuzz fuzz ;;
    versions)
      if git cat-file -e "${REEVE_OTHER:-HEAD~1}:process/keeper/main.cc" 2>/dev/null; then
        step versions versions
      else
        skipped="THE TEST OF A KEEPER AND A DAEMON OF TWO COMMITS DID NOT RUN: there is no earlier commit with a keeper"
        echo "$skipped"
      fi
      ;;
    soak)
      step soak-upgrades soak_upgrades
      step soak-gateway soak_gateway
      step soak-day soak_day
      step soak-agents soak_agents
      ;;
    *) echo "run.sh: unknown step '$name': $all" >&2; exit 64 ;;
  esac
done
[ -z "$tidy" ] || step tidy lint_tidy
grep -hE '^(100% tests passed|[0-9]+% tests passed)' build/logs/*.log 2>/dev/null
[ -z "$skipped" ] || echo "$skipped"
echo "Steps, in $SECONDS s:"
cat "$times"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
