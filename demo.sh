#!/usr/bin/env bash
# Installs, builds, and runs the demo: a small model of its own, tuned on a task of its own. Results in runs/demo.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
exec build/finetune_tune demo --out runs/demo --overwrite
