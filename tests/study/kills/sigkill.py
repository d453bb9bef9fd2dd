#!/usr/bin/env python3
"""A study of the real program that is killed at moments of chance, again and again, until it is complete: it goes on each time,
and leaves what one that nobody killed leaves.

    sigkill.py BUILD [--kills 200] [--seconds 220] [--seed 0]

It may be opening its model, in a round, or in the middle of a save, of which there is one a round. Studies follow one another
until there were so many kills or the time is over; the last one is finished.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from kills import rows_of

ROOT = Path(__file__).resolve().parents[3]
STUDY = ["--steps", "240", "--trials", "16", "--set", "tune.concurrent=4", "--set", "tune.sampler=tpe",
         "--set", "tune.scheduler=asha_promotion", "--set", "train.batch_size=2", "--set", "run.lanes=2",
         "--set", "run.threads=2", "--set", "run.save_every=1"]


def make_inputs(home: Path) -> None:
    """A model of a few thousand weights, its tokenizer and a little data."""
    shutil.copytree(ROOT / "tests/golden/models/llama", home / "model")
    tokens = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", " ", ":", ".", "0", "1"]
    model = {"type": "BPE", "unk_token": "<unk>", "vocab": {text: i for i, text in enumerate(tokens)}, "merges": []}
    end = {"id": 2, "content": "</s>", "special": True, "normalized": False}
    (home / "model/tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [end], "model": model}))
    (home / "model/tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    lines = [json.dumps({"prompt": f"ab c{chr(ord('a') + i % 26)}{'d' * (i % 7)}:", "completion": " d" * (1 + i % 3)})
             for i in range(60)]
    (home / "train.jsonl").write_text("\n".join(lines) + "\n")


def what_is_left(run: Path) -> dict:
    left = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = str(path.relative_to(run))
        # A lock that was killed after the last save went stays there, and the next that comes takes it over.
        if name.startswith("study.db") or name in ("report.md", "report.html", "run.lock"):
            continue
        left[name] = path.stat().st_size if name.startswith("tensorboard/") else path.read_bytes()
    report = json.loads(left["report.json"])
    for time in ("seconds", "evaluation_seconds"):
        report["cost"].pop(time, None)
    left["report.json"] = report
    left["study.db"] = rows_of(run / "study.db")
    return left


class Program:
    def __init__(self, build: Path, home: Path, chance: random.Random):
        self.program, self.home, self.run, self.chance = build / "finetune_tune", home, home / "run", chance

    def command(self) -> list:
        """Begins, goes on, or begins again where there is no save yet."""
        begin = [self.program, "--model", self.home / "model", "--train", self.home / "train.jsonl", "--out", self.run, *STUDY]
        if not self.run.exists():
            return begin
        return [self.program, "resume", self.run] if self.has_save() else [*begin, "--overwrite"]

    def has_save(self) -> bool:
        saves = self.run / "saves"
        return saves.exists() and any(saves.glob("state-*.json")) and not self.says_no_save

    def play(self, after: float | None) -> bool:
        """Killed `after` seconds, if it still runs then; True where it was."""
        with open(self.home / "said", "wb") as said:
            process = subprocess.Popen(self.command(), stdout=said, stderr=subprocess.STDOUT)
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        text = (self.home / "said").read_text()
        # A state file is there before its save is valid.
        self.says_no_save = process.returncode == 2 and "has no save to go on from" in text
        if process.returncode not in (0, -signal.SIGKILL) and not self.says_no_save:
            raise SystemExit(f"exit code {process.returncode}: {text}")
        return process.returncode == -signal.SIGKILL

    def is_complete(self) -> bool:
        return (self.run / "report.json").exists() and not (self.run / "saves").exists()

    def whole(self) -> dict:
        """What an untouched study leaves; takes note of how long it takes, and to its first round."""
        self.says_no_save, begun = False, time.monotonic()
        watch = threading.Thread(target=self.wait_for_trials, args=(begun,))
        watch.start()
        self.play(None)
        self.took = time.monotonic() - begun
        watch.join()
        left = what_is_left(self.run)
        shutil.rmtree(self.run)
        return left

    def wait_for_trials(self, begun: float) -> None:
        while not (self.run / "trials").exists():
            time.sleep(0.005)
        self.opened = time.monotonic() - begun

    def killed_until_complete(self) -> int:
        kills, self.says_no_save = 0, False
        while not self.is_complete():
            kills += self.play(self.opened * self.chance.uniform(0.5, 2))
        return kills


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build", type=Path)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=220)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    shm = Path("/dev/shm")  # where there is one: a save a round
    home = Path(tempfile.mkdtemp(prefix="finetune-sigkill-", dir=shm if os.access(shm, os.W_OK) else None))
    try:
        make_inputs(home)
        program = Program(given.build.resolve(), home, random.Random(given.seed))
        expected = program.whole()
        kills, studies, begun = 0, 0, time.monotonic()
        while kills < given.kills and (studies == 0 or time.monotonic() - begun < given.seconds):
            kills += program.killed_until_complete()
            studies += 1
            found = what_is_left(program.run)
            if found != expected:
                names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
                raise SystemExit(f"after {kills} kills, study {studies} (seed {given.seed}): {names} differ")
            shutil.rmtree(program.run)
        print(f"{kills} kills in {studies} studies, {time.monotonic() - begun:.0f} s; a whole one takes "
              f"{program.took:.1f} s, {program.opened:.1f} s to its first round")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
