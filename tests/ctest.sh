#!/usr/bin/env bash
# Runs the tests of a build, as many side by side as there are processors; the last line is `N passed, N failed, N skipped`.
#   tests/ctest.sh BUILD [ctest's options]
set -euo pipefail
build=$1
shift
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error "$@" 2>&1 | tee "$log" || status=$?
count() { grep -cE "^ *[0-9]+/[0-9]+ Test +#[0-9]+:.*$1" "$log" || true; }
printf '\n%d passed, %d failed, %d skipped\n' "$(count ' Passed ')" \
  "$(count '\*\*\*(Failed|Timeout|Exception|Not Run)')" "$(count '\*\*\*Skipped')"
exit "$status"
