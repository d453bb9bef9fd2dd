"""The console script: becomes the program that lies beside this file."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).parent / "finetune_tune"
    try:
        os.execv(program, ["finetune_tune", *sys.argv[1:]])
    except OSError as fault:
        sys.exit(f"finetune_tune: {program}: {fault.strerror}")
