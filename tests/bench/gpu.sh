#!/usr/bin/env bash
# The packed engine on a GPU: tests, and speeds beside PEFT on the same card, in parts of at most nine minutes.
#
#   tests/bench/gpu.sh PART...            parts: see `gpu.sh parts`; `all` runs every one
#   tests/bench/gpu.sh pack               puts what a machine without a build needs into carry/ (then --build carry/bin)
#     --build DIR    where the programs lie (build)      --device D      cuda:0, or cpu for the smoke part
#     --out FILE     JSON, added to part by part (build/gpu.json)        --python P   with torch 2.11 and peft (python3)
#     --commit ID    of the programs, where git cannot say
#
# Without a GPU it says so and exits with 77.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."

usage() { sed -n '2,11s/^# \{0,1\}//p' "$self"; }

build=build device=cuda:0 out= python=${PYTHON:-python3} commit= parts=()
while [ $# -gt 0 ]; do
  case "$1" in
    --build) build=$2; shift ;;
    --device) device=$2; shift ;;
    --out) out=$2; shift ;;
    --python) python=$2; shift ;;
    --commit) commit=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "gpu.sh: unknown option $1" >&2; exit 2 ;;
    *) parts+=("$1") ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || { usage; exit 2; }
[ -n "$commit" ] || commit=$(cat "$build/../commit" 2>/dev/null || git rev-parse --short HEAD 2>/dev/null || echo unknown)

if [ "${parts[0]}" = pack ]; then
  mkdir -p carry/bin
  for file in finetune_tune bench_gpu test_gpu_kernels test_gpu_engine libfinetune_cuda_graph.so; do
    [ -e "$build/$file" ] || { echo "gpu.sh: $build/$file is missing: build with CUDA (./setup.sh --cuda)" >&2; exit 1; }
    strip -o "carry/bin/$file" "$build/$file"
  done
  git rev-parse --short HEAD >carry/commit
  du -sh carry
  exit 0
fi

# The programs take LibTorch from where they were built, or from the Python of this machine.
libraries=$("$python" - 2>/dev/null <<'PY' || true
import glob, os, torch
root = os.path.dirname(torch.__path__[0])
print(":".join([os.path.join(torch.__path__[0], "lib"), *sorted(glob.glob(os.path.join(root, "nvidia", "*", "lib")))]))
PY
)
export LD_LIBRARY_PATH="$build${libraries:+:$libraries}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

if [ ! -x "$build/bench_gpu" ]; then
  echo "gpu.sh: $build/bench_gpu is not there: build first, or name the folder with --build" >&2
  exit 1
fi
if [ "$device" != cpu ] && [ "${parts[0]}" != parts ]; then
  if ! found=$("$build/bench_gpu" --check-device --device "$device" 2>&1); then
    case "$found" in
      *"error while loading"*) echo "gpu.sh: bench_gpu does not start: $found" >&2; exit 1 ;;
    esac
    echo "gpu.sh: no GPU here: $found"
    exit 77
  fi
  echo "gpu.sh: $found"
fi
exec "$python" tests/bench/gpu/parts.py --build "$build" --device "$device" --out "${out:-$build/gpu.json}" \
  --commit "$commit" "${parts[@]}"
