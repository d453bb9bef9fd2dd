#!/usr/bin/env bash
# Builds the fuzz targets with clang, everything instrumented, in build-fuzz. Without clang it says so; that is no error.
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=$(command -v clang++-14 || command -v clang++ || true)
if [ -z "$compiler" ]; then
  echo "fuzz targets: skipped, no clang++"
  exit 0
fi
mkdir -p build-fuzz
{ cmake --preset fuzz -DCMAKE_C_COMPILER="${compiler/++/}" -DCMAKE_CXX_COMPILER="$compiler" &&
  ninja -C build-fuzz fuzz_targets; } >build-fuzz/build.log 2>&1 || { tail -n 40 build-fuzz/build.log >&2; exit 1; }
