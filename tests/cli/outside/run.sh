#!/usr/bin/env bash
# Installs the build into a scratch folder, builds the project beside this script against it, and runs it.
#   run.sh BUILD SOURCE MODEL TRAIN
set -euo pipefail
build=$1 source=$2 model=$3 train=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/installed" >/dev/null
cmake -S "$source/tests/cli/outside" -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$scratch/installed" >/dev/null
cmake --build "$scratch/build" >/dev/null
"$scratch/installed/bin/finetune_tune" --help >/dev/null
"$scratch/build/outside" "$model" "$train" "$scratch/run" | tee "$scratch/said"
grep -qx 'reports 8 trials 2' "$scratch/said"
test -s "$scratch/run/best/adapter_model.safetensors"
