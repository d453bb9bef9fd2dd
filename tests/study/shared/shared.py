#!/usr/bin/env python3
"""Studies in PostgreSQL: alone the same as in study.db, whatever happens to server and worker; several processes on one study.
Exit code 77 where the package postgresql or, in the build, libpqxx is not there.

    shared.py BUILD [TEST ...]
"""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from server import Server, skip_without_server

BUILD = Path(sys.argv[1]).resolve()
PROGRAM = BUILD / "kill_study"
PARTS = BUILD / "shared_parts"


def begin(folder, method, url=None, worker=0, step=0):
    shared = ["at", url, str(worker), str(step)] if url else []
    return subprocess.Popen([PROGRAM, folder, method, "1", *shared], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True)


def end_of(process, timeout=40):
    said = process.communicate(timeout=timeout)[1]
    return process.returncode, said


def left_by(folder):
    """Everything but what tells the time, and the saves, which are gone in the end."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.parts[-3] != "tensorboard"
            and path.name not in ("report.html", "run.lock", "study.db", "study.db-wal", "study.db-shm")}


class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.folder = tempfile.TemporaryDirectory(prefix="finetune-shared-")
        cls.alone = {}

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()
        cls.folder.cleanup()

    def setUp(self):
        self.name = self.id().split(".")[-1]
        self.runs = Path(self.folder.name) / self.name
        self.runs.mkdir()
        self.url = self.server.create(self.name)

    def finish(self, process, timeout=40):
        code, said = end_of(process, timeout)
        self.assertEqual(code, 0, said)
        return said

    def without_sharing(self, method):
        """What a study in study.db leaves."""
        if method not in self.alone:
            run = Path(self.folder.name) / ("alone-" + method)
            self.finish(begin(run, method))
            self.alone[method] = left_by(run)
        return self.alone[method]

    def require_same_record(self, database, method):
        """What Optuna reads of trials, in both databases."""
        queries = ("SELECT number, CAST(state AS TEXT), value FROM trials LEFT JOIN trial_values USING (trial_id) ORDER BY number",
                   "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values ORDER BY trial_id, step",
                   "SELECT trial_id, param_name, param_value FROM trial_params ORDER BY trial_id, param_name",
                   "SELECT trial_id, key, value_json FROM trial_user_attributes ORDER BY trial_id, key")
        self.without_sharing(method)
        with contextlib.closing(sqlite3.connect(Path(self.folder.name) / ("alone-" + method) / "study.db")) as alone:
            for query in queries:
                texts = [["" if value is None else repr(value) if isinstance(value, float) else str(value) for value in row]
                         for row in alone.execute(query)]
                there = [[text if "." not in text or text[0] not in "0123456789-" else repr(float(text)) for text in row]
                         for row in self.server.sql(database, query)]
                self.assertEqual(there, texts, query)

    def rows(self, query):
        return self.server.sql(self.name, query)

    def trials(self):
        return self.rows("SELECT number, state, worker FROM trials JOIN ft_trials USING (trial_id) ORDER BY number")

    def require_one_of_each(self, workers, least_ended=6):
        trials = self.trials()
        self.assertEqual([int(number) for number, _, _ in trials], list(range(6)))
        self.assertTrue(all(state in ("COMPLETE", "PRUNED") for _, state, _ in trials), trials)
        self.assertTrue({int(worker) for _, _, worker in trials} <= set(workers), trials)
        values = self.rows("SELECT count(*) FROM trial_values")
        self.assertGreaterEqual(int(values[0][0]), least_ended)

    def test_alone_it_is_what_it_is_in_a_file(self):
        for method in ("tpe+asha", "random+sync_hyperband", "random+pbt", "grid+none", "cmaes+asha_promotion"):
            database = self.name + "_" + method.split("+")[1]
            url = self.server.create(database)
            run = self.runs / method
            self.finish(begin(run, method, url))
            self.assertEqual(left_by(run), self.without_sharing(method), method)
            self.require_same_record(database, method)
            self.assertEqual(self.server.sql(database, "SELECT count(*) FROM ft_commits"), [["0"]])

    def test_killed_alone_it_goes_on_to_the_same_end(self):
        for method in ("tpe+asha", "random+sync_hyperband"):
            database = self.name + "_" + method.split("+")[1]
            url = self.server.create(database)
            run = self.runs / method
            for after in (0.1, 0.3):
                process = begin(run, method, url, step=60)
                self.wait_for_save(run)
                time.sleep(after)
                process.send_signal(signal.SIGKILL)
                process.communicate()
                self.assertTrue((run / "saves").exists(), "it was killed too late")
            self.finish(begin(run, method, url))
            self.assertEqual(left_by(run), self.without_sharing(method), method)

    def test_a_server_that_goes_away_is_waited_for(self):
        run = self.runs / "run"
        process = begin(run, "tpe+asha", self.url, step=60)
        self.wait_for_save(run)
        self.server.stop()
        time.sleep(1.5)
        self.assertIsNone(process.poll())
        self.server.start()
        said = self.finish(process)
        self.assertEqual(said.count("the run waits"), 1, said)
        self.assertIn("the run goes on", said)
        self.assertEqual(left_by(run), self.without_sharing("tpe+asha"))
        self.require_same_record(self.name, "tpe+asha")

    def test_connections_that_break_lose_and_double_nothing(self):
        run = self.runs / "run"
        process = begin(run, "tpe+asha", self.url, step=40)
        random.seed(1)
        while process.poll() is None:
            time.sleep(random.uniform(0.01, 0.15))
            self.server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                            f"'finetune_tune' AND datname = '{self.name}'")
        self.finish(process)
        self.assertEqual(left_by(run), self.without_sharing("tpe+asha"))
        self.require_same_record(self.name, "tpe+asha")

    def test_a_transaction_that_finds_no_server_is_not_taken_for_the_one_before(self):
        """Nothing of it was sent: the last that the server knows of this connection is the transaction before."""
        with subprocess.Popen([PARTS, "transactions", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:

            def ask(number):
                writer.stdin.write(f"{number}\n")
                writer.stdin.flush()

            for number in (1, 2):
                ask(number)
                self.assertEqual(writer.stdout.readline(), f"{number}\n")
            self.server.stop()
            ask(3)
            self.assertEqual(writer.stdout.readline(), "away\n")
            self.server.start()
            writer.stdin.close()
            self.assertEqual(writer.stdout.read().splitlines()[-1], "3")
            self.assertEqual(writer.wait(), 0)
        self.assertEqual(self.rows("SELECT number FROM kept ORDER BY number"), [["1"], ["2"], ["3"]])

    def test_while_the_server_is_away_nobody_dies(self):
        """Who was silent before it went, and while it was away, has the whole time again from then on."""
        self.finish(begin(self.runs / "0", "random+none", self.url))
        self.rows("INSERT INTO ft_workers (worker, folder, state, beats) VALUES (7, '/nowhere', 'working', 1)")
        dead_after = 2
        with subprocess.Popen([PARTS, "watch", self.url, str(1000 * dead_after)], stdout=subprocess.PIPE, text=True) as watcher:
            time.sleep(0.5)  # it has seen the worker
            self.server.stop()
            time.sleep(dead_after + 0.5)
            self.assertIsNone(watcher.poll())
            there_again = time.monotonic()
            self.server.start()
            self.assertEqual(watcher.stdout.readline(), "worker 7 is dead\n")
            self.assertGreaterEqual(time.monotonic() - there_again, dead_after)
            self.assertEqual(watcher.wait(), 0)

    def test_who_joins_a_dead_study_is_told_whom_it_waits_for(self):
        first = begin(self.runs / "0", "random+none", self.url, step=250)
        self.wait_for_save(self.runs / "0")
        first.send_signal(signal.SIGKILL)
        first.communicate()
        said = self.finish(begin(self.runs / "1", "random+none", self.url, "join"))
        self.assertEqual(said.count("waits for "), 1, said)
        self.assertRegex(said, r"waits for 3 trials of worker 0, which gave (its last sign of life \d s ago|no sign of life yet); "
                               r"after 2 s without one it is taken for dead")
        self.assertLess(said.index("waits for "), said.index("which is gone"))
        self.require_one_of_each({0, 1})

    def test_several_share_the_trials(self):
        first = begin(self.runs / "0", "tpe+asha", self.url, step=100)
        self.wait_for("SELECT 1 FROM ft_workers")
        others = [begin(self.runs / str(i), "tpe+asha", self.url, "join", step=50) for i in (1, 2)]
        for process in (first, *others):
            self.finish(process)
        self.require_one_of_each({0, 1, 2})
        self.assertGreater(len({worker for _, _, worker in self.trials()}), 1)
        self.assertEqual(self.rows("SELECT DISTINCT state FROM ft_workers"), [["ended"]])

    def test_trials_of_the_dead_go_on_elsewhere(self):
        first = begin(self.runs / "0", "random+none", self.url, step=250)
        self.wait_for_save(self.runs / "0")
        second = begin(self.runs / "1", "random+none", self.url, "join", step=60)
        self.wait_for_worker()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        said = self.finish(second)
        self.assertIn("of worker 0, which is gone", said)
        self.assertIn("from its last save", said)
        self.require_one_of_each({0, 1})
        self.assertEqual(self.rows("SELECT count(*) FROM trials JOIN ft_trials USING (trial_id) WHERE worker = 0 AND state = "
                                   "'RUNNING'"), [["0"]])
        alone = self.without_sharing("random+none")
        for number, _, worker in self.trials():
            name = f"trials/{int(number):06}/metrics.jsonl"
            self.assertEqual((self.runs / worker / name).read_bytes(), alone[name], name)

    def test_who_is_not_dead_after_all_ends(self):
        first = begin(self.runs / "0", "random+none", self.url, step=250)
        self.wait_for_save(self.runs / "0")
        second = begin(self.runs / "1", "random+none", self.url, "join", step=60)
        self.wait_for_worker()
        first.send_signal(signal.SIGSTOP)
        self.finish(second)
        first.send_signal(signal.SIGCONT)
        code, said = end_of(first)
        self.assertEqual(code, 1, said)
        self.assertIn("was taken for dead", said)
        self.require_one_of_each({0, 1})

    def test_who_comes_back_goes_on_with_what_is_left(self):
        first = begin(self.runs / "0", "random+none", self.url, step=250)
        self.wait_for_save(self.runs / "0")
        second = begin(self.runs / "1", "random+none", self.url, "join", step=300)
        self.wait_for_worker()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        again = begin(self.runs / "0", "random+none", self.url, 0, step=60)
        self.finish(again)
        self.finish(second)
        self.require_one_of_each({0, 1})

    def test_the_servers_end_kills_nobody(self):
        first = begin(self.runs / "0", "random+none", self.url, step=150)
        self.wait_for_save(self.runs / "0")
        second = begin(self.runs / "1", "random+none", self.url, "join", step=150)
        self.wait_for_worker()
        self.server.stop()
        time.sleep(3)  # longer than it takes to be taken for dead
        self.server.start()
        for process in (first, second):
            self.assertNotIn("which is gone", self.finish(process))
        self.require_one_of_each({0, 1})

    def wait_for_save(self, run):
        for _ in range(400):
            if list(Path(run).glob("saves/state-*.json")):
                return
            time.sleep(0.05)
        self.fail(f"{run} has no save")

    def wait_for_worker(self):
        """The second one has joined."""
        self.wait_for("SELECT 1 FROM ft_workers WHERE worker = 1")
        time.sleep(0.3)

    def wait_for(self, query):
        for _ in range(200):
            try:
                if self.rows(query):
                    return
            except subprocess.CalledProcessError:
                pass  # the table is not there yet
            time.sleep(0.05)
        self.fail(query)


if __name__ == "__main__":
    skip_without_server(PROGRAM)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
