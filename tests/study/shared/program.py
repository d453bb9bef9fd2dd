#!/usr/bin/env python3
"""The program itself with study.url: what it refuses and how, that no password stands anywhere, resume, warm start, a second
process that joins, and that Optuna and optuna-dashboard read what is there (where a Python has them: FINETUNE_PYTHONS, see
README). Exit code 77 where the package postgresql, or libpqxx in the build, is not there.

    program.py BUILD [TEST ...]
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from server import Server, skip_without_server

BUILD = Path(sys.argv[1]).resolve()
PROGRAM = BUILD / "finetune_tune"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kills"))
from sigkill import make_inputs  # noqa: E402

STUDY = ["--set", "tune.concurrent=3", "--set", "tune.sampler=tpe", "--set",
         "tune.scheduler=asha", "--set", "train.batch_size=2", "--set", "run.lanes=1", "--set", "run.threads=1"]
PASSWORD = "kl7qsecret"


def python_with(module):
    """An interpreter that has it; none."""
    for python in [sys.executable, *os.environ.get("FINETUNE_PYTHONS", "").split(":")]:
        if python and subprocess.run([python, "-c", f"import {module}, psycopg2"], capture_output=True).returncode == 0:
            return python
    return None


class Program(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.home = Path(tempfile.mkdtemp(prefix="finetune-shared-"))
        make_inputs(cls.home)

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()
        shutil.rmtree(cls.home)

    def setUp(self):
        self.name = self.id().split(".")[-1]
        self.url = self.server.create(self.name)

    def arguments(self, run, *more, verb="tune", steps=40, trials=6):
        return [PROGRAM, *([verb] if verb != "tune" else []), "--model", self.home / "model", "--train",
                self.home / "train.jsonl", "--out", run, "--steps", str(steps),
                "--trials", str(trials), *STUDY, *more]

    def run_program(self, arguments, **environment):
        return subprocess.run(arguments, capture_output=True, text=True, timeout=100, cwd=self.home,
                              env={**os.environ, **environment})

    def tune(self, run, *more, **environment):
        done = self.run_program(self.arguments(run, *more), **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, arguments, *parts):
        done = self.run_program(arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        last = done.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith("finetune_tune: "), done.stderr)
        self.assertEqual(done.stderr.count("finetune_tune: "), 1, done.stderr)
        for part in parts:
            self.assertIn(part, last)

    def at(self, url):
        return ["--set", "study.url=" + url]

    def test_a_server_that_is_not_there_is_one_line(self):
        run = self.home / self.name
        self.refused(self.arguments(run, *self.at("postgresql://me:%s@127.0.0.1:1/db" % PASSWORD)),
                     "postgresql://me@127.0.0.1:1/db", "cannot be reached")
        self.assertFalse(run.exists())
        self.refused(self.arguments(run, *self.at("mysql://host/db")), "study.url")
        self.refused(self.arguments(run, *self.at(self.url), verb="train"), "study.url")
        self.server.sql(self.name, "CREATE TABLE studies (a INTEGER)")
        self.refused(self.arguments(run, *self.at(self.url)), "another program")
        self.assertFalse(run.exists())

    def test_it_is_the_same_study_and_no_password_is_kept(self):
        self.server.sql(self.name, f"CREATE ROLE me LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        url = self.url.replace("postgres@", f"me:{PASSWORD}@")
        plain, run = self.home / (self.name + "-file"), self.home / self.name
        self.tune(plain)
        said = self.tune(run, *self.at(url))
        report, alone = (json.loads((folder / "report.json").read_text()) for folder in (run, plain))
        for part in ("trials", "best", "baselines"):
            self.assertEqual(report[part], alone[part])
        self.assertEqual((run / "best/adapter_model.safetensors").read_bytes(),
                         (plain / "best/adapter_model.safetensors").read_bytes())
        self.assertEqual((run / "best.yaml").read_bytes(), (plain / "best.yaml").read_bytes())
        self.assertIn("study:", (run / "run.yaml").read_text())
        for text in (said.stdout, said.stderr, *(path.read_bytes().decode(errors="replace") for path in run.rglob("*")
                                                 if path.is_file())):
            self.assertNotIn(PASSWORD, text)
        self.refused(self.arguments(self.home / "late", *self.at(url)), "complete")
        warm = self.tune(self.home / "warm", "--set", "tune.warm_start=" + url)
        self.assertIn("warm start from " + url.replace(":" + PASSWORD, "") + ": 6 of 6", warm.stdout + warm.stderr)
        self.assertNotIn(PASSWORD, warm.stdout + warm.stderr + (self.home / "warm/run.yaml").read_text())
        self.optuna_reads(run)
        self.dashboard_reads()

    def optuna_reads(self, run):
        python = python_with("optuna")
        if python is None:
            return
        done = subprocess.run([python, "-c", "import optuna, sys, json\n"
                               "s = optuna.load_study(study_name='study', storage=sys.argv[1])\n"
                               "print(json.dumps([[t.number, t.state.name, t.value] for t in s.trials]))",
                               self.url.replace("postgresql:", "postgresql+psycopg2:")], capture_output=True, text=True,
                              check=True)
        states = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}
        trials = json.loads((run / "report.json").read_text())["trials"]
        for trial, (number, state, value) in zip(trials, json.loads(done.stdout), strict=True):
            self.assertEqual((trial["trial"] if "trial" in trial else trial["id"], states[trial["state"]]), (number, state))

    def dashboard_reads(self):
        python = python_with("optuna_dashboard")
        if python is None:
            return
        port = self.server.port + 1 if self.server.port < 65000 else self.server.port - 1
        dashboard = subprocess.Popen([python, "-c", "from optuna_dashboard._cli import main; main()", "--host", "127.0.0.1",
                                      "--port", str(port), self.url.replace("postgresql:", "postgresql+psycopg2:")],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(150):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                        studies = json.load(answer)["study_summaries"]
                    break
                except OSError:
                    time.sleep(0.1)
            self.assertEqual([study["study_name"] for study in studies], ["study"])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies/1?after=0", timeout=10) as answer:
                self.assertEqual(len(json.load(answer)["trials"]), 6)
        finally:
            dashboard.terminate()
            dashboard.wait()

    def test_killed_it_is_resumed_and_others_join(self):
        run = self.home / self.name
        more = ["--set", "run.save_every=5", *self.at(self.url)]
        first = subprocess.Popen(self.arguments(run, *more, steps=6000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.home)
        for _ in range(600):
            if list(run.glob("saves/state-*.json")):
                break
            time.sleep(0.05)
        self.refused(self.arguments(self.home / "other", *more, steps=6000), "--out is not the folder of the study")
        self.refused(self.arguments(run, *more, steps=6000, trials=7), "another configuration", "trials: 7")
        second = subprocess.Popen(self.arguments(run, *more, steps=6000), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  cwd=self.home)
        for _ in range(600):
            if (run / "workers/001/run.yaml").exists():
                break
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        resumed = self.run_program([PROGRAM, "resume", run])
        said = second.communicate(timeout=100)[0]
        self.assertEqual((resumed.returncode, second.returncode), (0, 0), resumed.stderr + said)
        self.assertIn("worker: 1", (run / "workers/001/run.yaml").read_text())
        rows = self.server.sql(self.name, "SELECT number, state FROM trials ORDER BY number")
        self.assertEqual([int(number) for number, _ in rows], list(range(6)))
        self.assertTrue(all(state in ("COMPLETE", "PRUNED") for _, state in rows), rows)
        self.assertIn("the best trial of all is", said + resumed.stderr + resumed.stdout)
        reported = [json.loads((folder / "report.json").read_text())["trials"] for folder in (run, run / "workers/001")]
        self.assertEqual(sum(map(len, reported)), 6)
        report = self.run_program([PROGRAM, "report", run])
        self.assertEqual(report.returncode, 0, report.stderr)

    def test_who_joins_a_dead_study_is_told_and_leaves_nothing_when_interrupted(self):
        run = self.home / self.name
        more = ["--set", "run.save_every=5", *self.at(self.url)]
        first = subprocess.Popen(self.arguments(run, *more, steps=60000, trials=3), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, cwd=self.home)
        for _ in range(600):
            if list(run.glob("saves/state-*.json")):
                break
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = subprocess.Popen(self.arguments(run, *more, steps=60000, trials=3), stderr=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, text=True, cwd=self.home)
        told = next(line for line in second.stderr if line.startswith("waits for "))
        self.assertRegex(told, r"^waits for 3 trials of worker 0, which gave (its last sign of life \d+ s ago|no sign of life yet); "
                               r"after 60 s without one it is taken for dead$")
        self.assertTrue((run / "workers/001/run.yaml").exists())
        second.send_signal(signal.SIGINT)
        said = second.communicate(timeout=30)[1]
        self.assertEqual(second.returncode, 130, said)
        self.assertNotIn("waits for ", said)
        self.assertFalse((run / "workers/001").exists())
        self.assertEqual(self.server.sql(self.name, "SELECT worker, state FROM ft_workers ORDER BY worker"),
                         [["0", "working"], ["1", "ended"]])


if __name__ == "__main__":
    skip_without_server(PROGRAM)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
