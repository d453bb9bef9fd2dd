#!/usr/bin/env bash
# The tests of the Python package; exit code 77 where it cannot be tested, with the reason.
#   run.sh PACKAGES PYTHON     PACKAGES: the folder that holds finetune_tune; "" = it is installed
set -euo pipefail
packages=$1 python=$2
if [ -n "$packages" ] && ! ls "$packages"/finetune_tune/_core.*.so >/dev/null 2>&1; then
  echo "skipped: this build has no Python package (./setup.sh --python brings what it needs)"
  exit 77
fi
if ! "$python" -c 'import pytest' 2>/dev/null; then
  echo "skipped: $python has no pytest"
  exit 77
fi
cd "$(dirname "$0")"
export PYTHONPATH="$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
exec "$python" -m pytest -q -rs -p no:cacheprovider --tb=short .
