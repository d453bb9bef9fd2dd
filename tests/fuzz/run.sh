#!/usr/bin/env bash
# Runs every fuzz target that build.sh built, each for a short time from the inputs in seeds/NAME.
#   tests/fuzz/run.sh BUILD [SECONDS]      BUILD: build-fuzz
# Exit code 77 (skipped) where there is no clang with libFuzzer.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
seconds=${2:-12}
if ! command -v clang++-14 >/dev/null && ! command -v clang++ >/dev/null; then
  echo "skipped: no clang++"
  exit 77
fi

# A fixed seed: a longer run finds what a shorter one finds and more. -timeout is for what hangs: an input takes
# milliseconds.
for folder in "$here"/seeds/*/; do
  target=$(basename "$folder")
  [ -x "$build/fuzz_$target" ] || { echo "$build/fuzz_$target is not built: tests/fuzz/build.sh"; exit 1; }
  echo "fuzz_$target"
  inputs=$(mktemp -d)
  largest=$(stat -c %s "$folder"* | sort -n | tail -1)  # longer ones would be cut
  cp "$folder"* "$inputs"
  if ! "$build/fuzz_$target" -seed=1 -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=60 -max_len=$((largest > 4096 ? largest : 4096)) \
    -print_final_stats=0 -verbosity=1 -artifact_prefix="$build/found-$target-" "$inputs" > "$build/$target.log" 2>&1; then
    tail -60 "$build/$target.log"
    exit 1
  fi
  rm -r "$inputs"
  tail -2 "$build/$target.log"
done
