#!/usr/bin/env bash
# Installs everything that finetune_tune needs on a bare Debian 12 and builds build/finetune_tune. Non-interactive and
# safe to run again: what is already there is left alone.
#
#   ./setup.sh              CPU libraries; the CUDA ones too when an NVIDIA GPU is present
#   ./setup.sh --cuda       the CUDA libraries and nvcc in any case
#   (FINETUNE_CUDA_ARCHITECTURES=all ./setup.sh   CUDA kernels for every GPU, not only for the one that is there)
#   ./setup.sh --parquet    Arrow's libraries too (of the pyarrow wheel, 55 MB), which read .parquet
#   ./setup.sh --python     the Python package too, in build/python, and an environment that it is built and tested with
#   ./setup.sh --no-build   install only
#   ./setup.sh --tests [--target NAME]   what the tests need, and NAME instead of the program (all, fast_tests); for test.sh
set -euo pipefail
cd "$(dirname "$0")"

TORCH=2.11.0
PYARROW=26.0.1
CUDA_WHEELS=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
NVCC_WHEELS=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-cccl==13.0.85)
PACKAGES=(g++ cmake ninja-build ccache git pkg-config python3 python3-pip unzip ca-certificates
  libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libsimdjson-dev libpcre2-dev libutf8proc-dev
  libfmt-dev libsentencepiece-dev libeigen3-dev libsqlite3-dev libpqxx-dev libxxhash-dev)
TEST_PACKAGES=(libgtest-dev libbenchmark-dev clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev
  postgresql-15)
PYTHON_PACKAGES=(python3-dev python3-venv)
PYTHON_MODULES=(nanobind==3.1.0 pytest==9.2.0 tqdm pandas scikit-learn datasets "ray[tune]")
SPACE_MIB=4000   # wheel 510, unpacked 1,070, build 800, and room to unpack beside them

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

want_cuda=0 want_parquet=0 want_python=0 build=1 tests=0 target=finetune_tune
while [ $# -gt 0 ]; do
  case "$1" in
    --cuda) want_cuda=1 ;;
    --parquet) want_parquet=1 ;;
    --python) want_python=1 ;;
    --no-build) build=0 ;;
    --tests) tests=1 ;;
    --target) [ $# -gt 1 ] || die "--target wants a name"; target=$2; shift ;;
    *) die "unknown option $1; known: --cuda --parquet --python --no-build --tests --target NAME" ;;
  esac
  shift
done
if [ "$tests" = 1 ]; then PACKAGES+=("${TEST_PACKAGES[@]}"); fi
if [ "$want_python" = 1 ]; then PACKAGES+=("${PYTHON_PACKAGES[@]}"); fi
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; then want_cuda=1; fi

install_packages() {
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null 2>&1 || die "this is not a Debian system: install these yourself: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null ||
      die "need root to install packages: run 'apt-get install ${missing[*]}' as root, then ./setup.sh again"
    as_root=(sudo -n)
  fi
  say "installing ${#missing[@]} Debian packages"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq || die "apt-get update failed: no network, or the package lists are out of reach"
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
}

check_space() {
  local free
  free=$(df -Pm . | awk 'NR==2 {print $4}')
  [ "$free" -ge "$SPACE_MIB" ] || die "only $free MiB free here, need $SPACE_MIB"
}

# fetch_wheels FOLDER REQUIREMENT...: any python3 will do, the wheel is for CPython 3.11 and only unpacked.
fetch_wheels() {
  local folder=$1
  shift
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --abi abi3 --abi none --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 -d "$folder" "$@" || die "could not download $* (no network?)"
}

# The wheel names its own CUDA libraries; taken from there so that the versions always fit.
torch_cuda_requirements() {
  unzip -p "$1"/torch-*.whl 'torch-*/METADATA' | sed -n 's/^Requires-Dist: \(nvidia-[a-z0-9-]*==[0-9.]*\).*/\1/p'
  printf '%s\n' nvidia-cublas==13.1.0.3 nvidia-cuda-nvrtc==13.0.88 nvidia-cufft==12.0.0.61 nvidia-curand==10.4.0.35 \
    nvidia-cusolver==12.0.4.66 nvidia-cusparse==12.6.3.3 nvidia-nvjitlink==13.0.88 nvidia-nvtx==13.0.85 \
    nvidia-cufile==1.15.1.6
}

install_libtorch() {
  local want="torch $TORCH cuda=$want_cuda"
  if [ -f .deps/site/stamp ]; then
    local have
    have=$(cat .deps/site/stamp)
    [ "$have" = "$want" ] || [ "$have" = "torch $TORCH cuda=1" ] && return
  fi
  check_space
  say "fetching LibTorch $TORCH"
  rm -rf .deps/new .deps/wheels
  mkdir -p .deps/new .deps/wheels
  fetch_wheels .deps/wheels "torch==$TORCH" "${CUDA_WHEELS[@]}"
  if [ "$want_cuda" = 1 ]; then
    say "fetching the CUDA libraries"
    mapfile -t requirements < <(torch_cuda_requirements .deps/wheels)
    fetch_wheels .deps/wheels "${requirements[@]}"
    command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ] || fetch_wheels .deps/wheels "${NVCC_WHEELS[@]}"
  fi
  unzip -q .deps/wheels/torch-*.whl 'torch/lib/*' 'torch/include/*' 'torch/share/*' -d .deps/new
  local wheel
  for wheel in .deps/wheels/nvidia_*.whl; do unzip -qo "$wheel" 'nvidia/*' -d .deps/new; done
  [ -f .deps/new/nvidia/cu13/bin/nvcc ] && chmod +x .deps/new/nvidia/cu13/bin/* .deps/new/nvidia/cu13/nvvm/bin/* 2>/dev/null
  printf '%s' "$want" >.deps/new/stamp
  rm -rf .deps/site .deps/wheels
  mv .deps/new .deps/site
}

# Two of the wheel's libraries and their headers; they are loaded with the first .parquet file.
install_parquet() {
  local want="pyarrow $PYARROW"
  [ -f .deps/arrow/stamp ] && [ "$(cat .deps/arrow/stamp)" = "$want" ] && return
  [ "$(uname -m)" = x86_64 ] || die "--parquet: the pyarrow wheel that is read here is for x86-64"
  say "fetching Arrow's libraries (pyarrow $PYARROW)"
  rm -rf .deps/arrow.new .deps/arrow.wheel
  mkdir -p .deps/arrow.new .deps/arrow.wheel
  fetch_wheels .deps/arrow.wheel "pyarrow==$PYARROW"
  unzip -q .deps/arrow.wheel/pyarrow-*.whl 'pyarrow/libarrow.so.*' 'pyarrow/libparquet.so.*' 'pyarrow/include/arrow/*' \
    'pyarrow/include/parquet/*' -d .deps/arrow.new
  printf '%s' "$want" >.deps/arrow.new/stamp
  rm -rf .deps/arrow .deps/arrow.wheel
  mv .deps/arrow.new .deps/arrow
}

# What the Python package is built and tested with; the package itself needs none of it but torch.
install_python() {
  local want="$(python3 --version) ${PYTHON_MODULES[*]}"
  [ -f .deps/python/stamp ] && [ "$(cat .deps/python/stamp)" = "$want" ] && return
  say "making a Python environment with ${PYTHON_MODULES[*]}"
  rm -rf .deps/python
  python3 -m venv .deps/python || die "python3 -m venv failed"
  .deps/python/bin/python -m pip install --quiet --disable-pip-version-check "${PYTHON_MODULES[@]}" ||
    die "could not install ${PYTHON_MODULES[*]} (no network?)"
  printf '%s' "$want" >.deps/python/stamp
}

build_program() {
  if ! command -v nvcc >/dev/null 2>&1; then
    for place in /usr/local/cuda/bin "$PWD/.deps/site/nvidia/cu13/bin"; do
      [ -x "$place/nvcc" ] && export PATH="$PATH:$place" && break
    done
  fi
  local options=(-DCMAKE_UNITY_BUILD=ON)  # several sources at once: a third of the time
  if [ "$tests" = 1 ]; then options+=(-DFINETUNE_TESTS=ON)
  elif [ ! -f build/CMakeCache.txt ]; then options+=(-DFINETUNE_TESTS=OFF); fi
  if [ -n "${FINETUNE_CUDA_ARCHITECTURES:-}" ]; then options+=("-DFINETUNE_CUDA_ARCHITECTURES=$FINETUNE_CUDA_ARCHITECTURES"); fi
  cmake --preset release "${options[@]}" >.deps/configure.log 2>&1 || { tail -n 20 .deps/configure.log >&2; die "cmake failed"; }
  say "building; the first time takes minutes (progress in .deps/build.log)"
  local targets=("$target")
  if [ "$want_python" = 1 ] && [ "$target" = finetune_tune ]; then targets+=(finetune_python_stub); fi
  ninja -C build "${targets[@]}" >.deps/build.log 2>&1 || { grep -E -A8 'error|FAILED' .deps/build.log | head -n 60 >&2; die "the build failed; see .deps/build.log"; }
  say "built $target in build"
}

install_packages
install_libtorch
if [ "$want_parquet" = 1 ]; then install_parquet; fi
if [ "$want_python" = 1 ]; then install_python; fi
if [ "$build" = 1 ]; then build_program; fi
