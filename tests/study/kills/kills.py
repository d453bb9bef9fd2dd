#!/usr/bin/env python3
"""A study that is killed goes on as if nothing had happened: kill_study (study.cpp) is killed at its writes, or loses its
power there, is run again until it is complete, and what it leaves is compared with that of a study that nobody touched: every
file byte for byte, but for the times in study.db and in TensorBoard's events.

    kills.py BUILD

Every seventh of its writes is tried; FINETUNE_KILLS=N in the environment tries every Nth, 1 all of them, which takes minutes.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUILD = Path(sys.argv[1]).resolve()
EVERY = int(os.environ.get("FINETUNE_KILLS", 7))
STUDY, LIBRARY = BUILD / "kill_study", BUILD / "libfinetune_faults.so"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support" / "faults"))
from power_cut import power_cut  # noqa: E402

METHODS = ("tpe+asha_promotion", "gp+hyperband", "random+pbt", "grid+none")
MOST_RUNS = 6  # of a study that is killed once or twice


def rows_of(database: Path) -> list:
    """What study.db holds, but for times and for what only a resume reads."""
    with sqlite3.connect(database) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
        rows = []
        for table in tables:
            if table.startswith("ft_"):
                continue
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            # A row that was written again has another key of its own.
            kept = [c for c in columns if not c.startswith("datetime") and c not in ("param_id", "trial_value_id",
                    "trial_intermediate_value_id", "trial_user_attribute_id")]
            rows.append((table, sorted(connection.execute(f"SELECT {', '.join(kept)} FROM {table}"), key=repr)))
    connection.close()
    return rows


def what_is_left(run: Path) -> dict:
    left = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = str(path.relative_to(run))
        if name.startswith("study.db") or name == "report.html":  # the page of a study that runs tells the time
            continue
        left[name] = path.stat().st_size if name.startswith("tensorboard/") else path.read_bytes()
    left["study.db"] = rows_of(run / "study.db")
    return left


class Place:
    """A folder for one study and for the model of its disk."""

    def __init__(self, method: str, lanes: int = 1):
        shm = Path("/dev/shm")  # where there is one: a million fsyncs
        self.home = Path(tempfile.mkdtemp(prefix="finetune-kills-", dir=shm if os.access(shm, os.W_OK) else None))
        self.run, self.shadow = self.home / "run", self.home / "shadow"
        self.arguments = [method, str(lanes)]

    def play(self, *more: str, **faults) -> int:
        self.run.mkdir(exist_ok=True)
        environment = dict(os.environ)
        if faults:
            set_by_us = {f"FAULTS_{name}": str(value) for name, value in faults.items()}
            environment |= {"LD_PRELOAD": str(LIBRARY), "FAULTS_UNDER": str(self.run), **set_by_us}
        done = subprocess.run([STUDY, self.run, *self.arguments, *more], env=environment, stderr=subprocess.PIPE, text=True,
                              timeout=300)
        self.said = done.stderr
        return done.returncode

    def finish(self) -> None:
        code = self.play()
        assert code == 0, f"exit code {code}: {self.said}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home)


def untouched(method: str, lanes: int) -> tuple[dict, int]:
    """What a study leaves that nobody kills, and how many writes it makes."""
    with Place(method, lanes) as place:
        log = place.home / "log"
        assert place.play(LOG=log) == 0, place.said
        return what_is_left(place.run), len(log.read_text().splitlines())


class Kills(unittest.TestCase):
    maxDiff = 2000

    def compare(self, expected: dict, place: Place, how: str) -> None:
        found = what_is_left(place.run)
        self.assertEqual(sorted(expected), sorted(found), how)
        for name in expected:
            self.assertEqual(expected[name], found[name], f"{how}: {name}")

    def at_every_write(self, method: str, lanes: int, kill) -> None:
        """`kill(place, n)` runs the study and brings its end about at write n; gives a word for it."""
        expected, writes = untouched(method, lanes)
        self.assertGreater(writes, 200)

        def one(n: int) -> None:
            with Place(method, lanes) as place:
                how = kill(place, n)
                place.finish()
                self.compare(expected, place, f"{method}, {lanes} lanes, {how} {n} of {writes}")

        # Which of them, differs from part to part, so that all of them together see every kind of write.
        first = 1 + (sum(map(ord, method)) + lanes) % EVERY
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, range(first, writes + 1, EVERY)))

    def killed(self, place: Place, code: int) -> None:
        self.assertEqual(code, -signal.SIGKILL, place.said)

    def test_killed_at_a_write(self):
        for method in METHODS:
            def kill(place, n):
                self.killed(place, place.play(KILL=n))
                return "killed before write"
            self.at_every_write(method, 1, kill)

    def test_killed_in_the_middle_of_a_write(self):
        def kill(place, n):
            self.killed(place, place.play(TORN=n))
            return "torn at write"
        self.at_every_write("tpe+asha_promotion", 1, kill)

    def test_power_cut_at_a_write(self):
        for method in METHODS:
            def kill(place, n):
                self.killed(place, place.play(KILL=n, SHADOW=place.shadow))
                power_cut(place.run, place.shadow)
                return "power cut before write"
            self.at_every_write(method, 1, kill)

    def test_killed_while_it_goes_on(self):
        def kill(place, n):
            self.killed(place, place.play(KILL=n))
            more = random.Random(n)
            for _ in range(MOST_RUNS - 2):
                if place.play(KILL=more.randrange(1, 120)) == 0:
                    break
            return "killed again and again from write"
        self.at_every_write("gp+hyperband", 1, kill)

    def test_two_lanes(self):
        def kill(place, n):
            self.killed(place, place.play(KILL=n))
            return "killed before write"
        self.at_every_write("tpe+asha_promotion", 2, kill)

    def test_saves_beside_the_rounds(self):
        def kill(place, n):
            self.assertIn(place.play("beside", KILL=n), (0, -signal.SIGKILL), place.said)  # writes come as threads do
            return "killed beside write"
        self.at_every_write("tpe+asha_promotion", 1, kill)

    def test_power_cut_beside_the_rounds(self):
        def kill(place, n):
            self.assertIn(place.play("beside", KILL=n, SHADOW=place.shadow), (0, -signal.SIGKILL), place.said)
            power_cut(place.run, place.shadow)
            return "power cut beside write"
        self.at_every_write("random+pbt", 2, kill)

    def test_goes_on_in_a_copy_elsewhere(self):
        expected, writes = untouched("tpe+asha_promotion", 1)
        with Place("tpe+asha_promotion") as place:
            self.killed(place, place.play(KILL=writes * 2 // 3))
            copy = place.home / "elsewhere"
            shutil.copytree(place.run, copy)
            shutil.rmtree(place.run)
            place.run = copy
            place.finish()
            self.compare(expected, place, "a copy")

    def test_a_full_disk_is_waited_for(self):
        expected, writes = untouched("tpe+asha_promotion", 1)
        for first in (writes // 3, writes // 2, writes * 4 // 5):
            with Place("tpe+asha_promotion") as place:
                code = place.play(ERRNO="ENOSPC", FROM=first, TO=first + 2)
                self.assertEqual(code, 0, place.said)
                self.assertIn("No space left on device", place.said)
                self.assertEqual(place.said.count("the run waits"), 1, place.said)
                self.compare(expected, place, f"full from {first}")

    def test_a_complete_study_is_left_alone(self):
        with Place("grid+none") as place:
            place.finish()
            before = what_is_left(place.run)
            place.finish()
            self.compare(before, place, "again")
            self.assertFalse((place.run / "saves").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
