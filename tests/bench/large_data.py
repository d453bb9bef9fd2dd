#!/usr/bin/env python3
"""Starts with very many short lines: how long until the data is there, and how much memory that takes, when the file is
read for the first time and when its tokens are there already (data/cache). Prints a table.

    large_data.py PROGRAM MODEL [LINES]

The lines are made here from a fixed seed, about 39 bytes each. Everything is written below a temporary folder, XDG_CACHE_HOME
too, so each first start is one. Memory is VmHWM of the process at the line "train N examples", with the weights of MODEL.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ("the of and to in that is was he for it with as his on be at by had not are but from or have an they which one you were "
         "all her she there would their we him been has when who will no more if out so up said what its about than into them can "
         "only other time new some could these two may first then do any like my now over such our man me even most made").split()


def make_lines(path, count):
    draw = random.Random(1)
    with path.open("w") as out:
        for begin in range(0, count, 100_000):
            out.write("".join('{"text": "%s"}\n' % " ".join(draw.choices(WORDS, k=4 + i % 5))
                              for i in range(begin, min(begin + 100_000, count))))


def status_mib(pid, key):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0


def start(program, model, folder, lines):
    """Seconds and MiB until the data is there."""
    began = time.monotonic()
    command = [program, "train", "--model", model, "--train", folder / "lines.jsonl", "--valid", folder / "valid.jsonl",
               "--steps", "1", "--out", folder / "out", "--overwrite"]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        for line in process.stdout:
            if f"train {lines:,} examples" in line:
                result = time.monotonic() - began, status_mib(process.pid, "VmHWM")
                process.kill()
                return result
    sys.exit("the run ended before its data was there")


def main():
    program, model = (Path(one).resolve() for one in sys.argv[1:3])
    lines = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_lines(folder / "lines.jsonl", lines)
        make_lines(folder / "valid.jsonl", 20)
        print(f"{lines:,} lines, {(folder / 'lines.jsonl').stat().st_size / 1e6:.0f} MB, {model.name}, "
              f"{len(os.sched_getaffinity(0))} cores\n")
        print("| start | seconds | MiB |\n|---|---|---|")
        for what in ("first", "second", "third"):
            seconds, mib = start(program, model, folder, lines)
            print(f"| {what} | {seconds:.1f} | {mib:.0f} |", flush=True)


if __name__ == "__main__":
    main()
