#!/usr/bin/env bash
# Installs, builds and runs the tests.
#   ./test.sh         everything (label gpu is skipped without a device)
#   ./test.sh fast    the tests without LibTorch, under a minute
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
select=()
if [ $# -gt 0 ]; then select=(-L "^($1)\$"); fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --test-dir build --output-on-failure --no-tests=error "${select[@]}" 2>&1 | tee "$log" || status=$?
failed=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:.*\*\*\*(Failed|Timeout|Exception|Not Run)' "$log" || true)
skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:.*\*\*\*Skipped' "$log" || true)
passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:.* Passed ' "$log" || true)
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
exit "$status"
