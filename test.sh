#!/usr/bin/env bash
# Installs, builds and runs the tests.
#   ./test.sh         everything (label gpu is skipped without a device)
#   ./test.sh fast    the tests without LibTorch, under a minute once built
set -euo pipefail
cd "$(dirname "$0")"
select=() target=all
if [ $# -gt 0 ]; then select=(-L "^($1)\$"); fi
if [ "${1:-}" = fast ]; then target=fast_tests; fi
parquet=()
if [ "$(uname -m)" = x86_64 ]; then parquet=(--parquet); fi  # elsewhere its tests are skipped
python=()  # elsewhere its tests are skipped
if [ "$target" = all ] && python3 -m pip --version >/dev/null 2>&1; then python=(--python); fi
./setup.sh --tests "${parquet[@]}" "${python[@]}" --target "$target"
if [ "$target" = all ]; then tests/fuzz/build.sh; fi  # before the clock of a test runs
exec tests/ctest.sh build "${select[@]}"
