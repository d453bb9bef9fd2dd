#!/usr/bin/env python3
"""The library of faults.cpp under a small program (writer.cpp): what it counts, kills, refuses, slows down and forgets, and how
src/core's files and SQLite come out of it.

    test_faults.py BUILD
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from power_cut import power_cut

BUILD = Path(sys.argv[1]).resolve()
WRITER = BUILD / "faults_writer"
LIBRARY = BUILD / "libfinetune_faults.so"
KILLED = -signal.SIGKILL


class Faults(unittest.TestCase):
    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="finetune-faults-"))
        self.addCleanup(shutil.rmtree, self.home)
        self.begin()

    def begin(self):
        """A new folder, and a new model of the disk under it."""
        for name in ("run", "shadow"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        (self.home / "log").unlink(missing_ok=True)
        self.run_folder = self.home / "run"
        self.run_folder.mkdir()

    def environment(self, **faults):
        set_by_us = {f"FAULTS_{name}": str(value) for name, value in faults.items()}
        return os.environ | {"LD_PRELOAD": str(LIBRARY), "FAULTS_UNDER": str(self.run_folder), **set_by_us}

    def write(self, *commands, expect=0, **faults):
        """Runs the program; what it says on stderr."""
        done = subprocess.run([WRITER, *commands], cwd=self.run_folder, env=self.environment(**faults), text=True,
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE, timeout=100)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stderr

    def changes(self, *commands, **faults):
        """What it changes: (name, path) each."""
        log = self.home / "log"
        log.unlink(missing_ok=True)
        self.write(*commands, LOG=log, **faults)
        lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
        self.assertEqual([int(line[0]) for line in lines], list(range(1, len(lines) + 1)))
        return [tuple(line[1:]) for line in lines]

    def lose_power(self):
        power_cut(self.run_folder, self.home / "shadow")

    def content(self, name):
        path = self.run_folder / name
        return path.read_text() if path.exists() else None

    def rows(self, name="db"):
        with sqlite3.connect(self.run_folder / name) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            rows = [row[0] for row in connection.execute("SELECT x FROM t ORDER BY x")]
        connection.close()
        return rows

    # What it counts.

    def test_every_change_is_counted(self):
        temporary = "a/f.tmp*"
        seen = self.changes("mkdir a", "write a/f one", "rename a/f a/g", "append log x", "sync log", "go_on log 0",
                            "remove a/g", "remove a/g", "remove_tree a", "try .")
        names = [(name, *(temporary if ".tmp" in part else part for part in rest)) for name, *rest in seen]
        self.assertEqual(names, [
            ("mkdir", "a"), ("fsync", "."),
            ("create", temporary), ("write", temporary), ("fsync", temporary), ("rename", temporary, "a/f"), ("fsync", "a"),
            ("rename", "a/f", "a/g"), ("fsync", "a"),
            ("create", "log"), ("write", "log"), ("fsync", "log"), ("fsync", "."),
            ("truncate", "log"), ("unlink", "a/g"), ("rmdir", "a"), ("mkdir", ".finetune_tune-XXXXXX"), seen[-1]])
        self.assertEqual(seen[-1][0], "rmdir")

    def test_what_lies_outside_is_not(self):
        self.assertEqual(self.changes(f"mkdir {self.home}/other", f"write {self.home}/other/f 1", "mkdir ../running"), [])
        self.assertEqual(self.changes("plain_write ../run/f 1"), [("create", "f"), ("write", "f")])
        self.assertEqual(self.changes("plain_write f 22"), [("empty", "f"), ("write", "f")])
        self.assertEqual(self.changes("plain_mkdir a/", "plain_mkdir a/../b"), [("mkdir", "a"), ("mkdir", "b")])

    def test_threads_are_counted_one_by_one(self):
        self.assertEqual(len(self.changes("threads f", SHADOW=self.home / "shadow")), 4 * 50 * 5)
        self.lose_power()
        self.assertEqual([self.content(f"f{i}") for i in range(4)], ["49"] * 4)

    def test_sqlite_is_seen(self):
        seen = set(self.changes("sql db PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)"))
        self.assertLessEqual({("create", "db"), ("write", "db"), ("fdatasync", "db"), ("create", "db-wal"), ("write", "db-wal"),
                              ("fdatasync", "db-wal"), ("create", "db-shm"), ("fdatasync", "."), ("unlink", "db-wal"),
                              ("unlink", "db-shm")}, seen)

    # Killed at every change.

    FILES = ("remove_tree a", "mkdir a/b", "write a/b/f one", "append log 1", "flush log", "write a/b/f two", "append log 2", "sync log",
             "rename a/b a/c")

    def test_files_survive_a_kill_anywhere(self):
        count = len(self.changes(*self.FILES))
        for kind in ("KILL", "KILL_AFTER", "TORN"):
            for n in range(1, count + 1):
                self.begin()
                # Before the first, and torn, means that nothing of it has happened; after the last, all of it.
                self.write(*self.FILES, expect=KILLED, **{kind: n})
                found = [self.content(f"a/{name}/f") for name in "bc"]
                self.assertIn(None, found)
                self.assertLessEqual(set(found), {None, "one", "two"})
                self.assertIn(self.content("log"), (None, "", "1", "12"))
                self.write(*self.FILES)
                self.assertEqual(self.content("log"), "12")
                self.assertEqual(self.content("a/c/f"), "two")
        self.begin()
        self.write(*self.FILES, KILL=count + 1)

    def test_a_write_is_torn_in_the_middle(self):
        self.write("append log 12345678", "flush log", expect=KILLED, TORN=2)
        self.assertEqual(self.content("log"), "1234")

    def test_sqlite_survives_a_kill_anywhere(self):
        script = "sql db PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x); " + "; ".join(
            f"INSERT INTO t VALUES ({i})" for i in range(3))
        count = len(self.changes(script))
        for kind in ("KILL", "TORN"):
            kept = []
            for n in range(1, count + 1):
                self.begin()
                self.write(script, expect=KILLED, **{kind: n})
                self.write("sql db CREATE TABLE IF NOT EXISTS t (x)")
                kept.append(self.rows())
            self.assertEqual(kept, sorted(kept))
            self.assertEqual([kept[0], kept[-1]], [[], [0, 1, 2]])
            self.assertEqual({len(rows) for rows in kept}, {0, 1, 2, 3})

    # Refused.

    def test_a_full_disk_is_waited_for(self):
        full = self.home / "full"
        full.touch()
        running = subprocess.Popen([WRITER, "wait", "mkdir a/b", "write a/b/f text", "append log 12", "sync log"],
                                   cwd=self.run_folder, text=True, stdout=subprocess.PIPE,
                                   env=self.environment(ERRNO="ENOSPC", ERRNO_FILE=full))
        with running:
            self.assertEqual(running.stdout.readline(), "fault 28 0 a\n")
            self.assertEqual(list(self.run_folder.iterdir()), [])
            full.unlink()
            running.communicate(timeout=100)
        self.assertEqual(running.returncode, 0)
        self.assertEqual((self.content("a/b/f"), self.content("log")), ("text", "12"))

    def test_every_change_may_fail_once_and_be_made_again(self):
        commands = ("mkdir a", "write a/f text", "append log 12", "flush log", "append log 3", "sync log", "rename a b")
        count = len(self.changes(*commands))
        for n in range(1, count + 1):
            self.begin()
            self.write("wait", *commands, ERRNO="EIO", FROM=n, TO=n + 1)
            self.assertEqual((self.content("b/f"), self.content("log")), ("text", "123"))

    def test_what_a_failed_sync_lost_is_written_again(self):
        seen = self.changes("wait", "append log 12", "sync log", ERRNO="EIO", FROM=3, TO=4)
        self.assertEqual(seen, [("create", "log"), ("write", "log"), ("fsync", "log", "fails"), ("write", "log"), ("fsync", "log"),
                                ("fsync", ".")])
        seen = self.changes("wait", "write f text", ERRNO="ENOSPC", FROM=3, TO=4)
        self.assertEqual([name for name, *_ in seen],
                         ["create", "write", "fsync", "unlink", "create", "write", "fsync", "rename", "fsync"])

    def test_nobody_waits_where_nobody_is_asked(self):
        for n in range(1, 6):
            said = self.write("write f text", expect=1, ERRNO="ENOSPC", FROM=n, TO=99)
            self.assertRegex(said, "^[^\n]*cannot be (created|written|written to disk|renamed): No space left on device\n$")
            self.assertEqual(os.listdir(self.run_folder), ["f"] if n == 5 else [])
        self.assertIn("cannot be created: Permission denied", self.write("append log 1", expect=1, ERRNO=13, FROM=1))

    def test_making_room_does_not_fail(self):
        self.write("write f text", "append log 123")
        seen = self.changes("go_on log 1", "remove f", ERRNO="ENOSPC", FROM=1)
        self.assertEqual(seen, [("truncate", "log"), ("unlink", "f")])

    def test_a_slow_disk(self):
        begin = time.monotonic()
        self.write("write f text", DELAY_MS=150)
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    # Power cuts.

    def cut(self, *commands, expect=0):
        self.write(*commands, expect=expect, SHADOW=self.home / "shadow")
        self.lose_power()

    def test_what_was_synced_is_there_and_nothing_else(self):
        self.cut("mkdir a/b", "write a/b/f text", "append log 12", "sync log", "append log 34", "flush log", "plain_write g 1",
                 "die", expect=KILLED)
        self.assertEqual((self.content("a/b/f"), self.content("log")), ("text", "12"))
        self.assertEqual(sorted(os.listdir(self.run_folder)), ["a", "log"])

    def test_a_name_without_its_content_is_an_empty_file(self):
        self.cut("plain_write f text", "sync_folder .")
        self.assertEqual(self.content("f"), "")
        self.cut("plain_write f text", "sync_file f")
        self.assertEqual(self.content("f"), "text")

    def test_names_stay_as_at_the_last_sync_of_their_folder(self):
        self.cut("write f 1", "write g 2", "plain_rename f h", "remove g", "plain_mkdir a")
        self.assertEqual(sorted(os.listdir(self.run_folder)), ["f", "g"])
        self.assertEqual((self.content("f"), self.content("g")), ("1", "2"))
        self.cut("plain_rename f g", "plain_mkdir a", "sync_folder .")
        self.assertEqual(sorted(os.listdir(self.run_folder)), ["a", "g"])
        self.assertEqual(self.content("g"), "1")
        self.cut("mkdir b", "write b/f 3", "rename b/f g", "remove_tree a")
        self.assertEqual(sorted(os.listdir(self.run_folder)), ["a", "b", "g"])
        self.assertEqual(self.content("g"), "3")

    def test_an_inode_has_one_life_after_the_other(self):
        past, now = [], []
        for i in range(20):
            past += [f"write f{i} old", f"remove f{i}", f"mkdir d{i}", f"write d{i}/f 1", f"remove_tree d{i}", "sync_folder ."]
            now += [f"plain_write g{i} new", f"plain_mkdir e{i}", "sync_folder ."]
        for processes in ((past + now,), (past, now)):
            self.begin()
            for commands in processes:
                self.write(*commands, SHADOW=self.home / "shadow")
            self.lose_power()
            self.assertEqual({self.content(f"g{i}") for i in range(20)}, {""}, "none has what another had under its number")
            self.assertEqual({len(os.listdir(self.run_folder / f"e{i}")) for i in range(20)}, {0})

    def test_processes_follow_one_another(self):
        self.write("write before 0")  # before anybody looks: durable
        shadow = self.home / "shadow"
        self.write("append log 12", "sync log", "plain_write f 1", "die", expect=KILLED, SHADOW=shadow)
        self.write("go_on log 1", "append log 3", "flush log", "sync_file f", SHADOW=shadow)
        self.assertEqual(self.content("log"), "13")
        self.lose_power()
        self.assertEqual((self.content("before"), self.content("log"), self.content("f")), ("0", "12", None))
        self.write("go_on log 1", "append log 4", "sync log", SHADOW=shadow)
        self.lose_power()
        self.assertEqual(self.content("log"), "14")

    def test_sqlite_keeps_what_its_mode_promises(self):
        insert = "; ".join(f"INSERT INTO t VALUES ({i})" for i in range(10))
        for mode, kept in (("NORMAL", []), ("FULL", list(range(10)))):
            self.begin()
            self.write("sql db PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            self.cut(f"sql db PRAGMA synchronous = {mode}; {insert}", "die", expect=KILLED)
            self.assertEqual(self.rows(), kept, mode)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
