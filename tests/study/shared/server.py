"""A PostgreSQL server of Debian's package in a folder of its own, on a port of loopback and a socket there. Its files are the
user postgres's where the caller is root, for whom the server does not run."""

import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))


def skip_without_server(program):
    """Exit code 77, with the reason, where there is no server to be started or the program speaks to none."""
    if not FOUND:
        print("skipped: PostgreSQL is not installed (Debian's package postgresql)")
    elif b"libpqxx" not in subprocess.run(["ldd", program], capture_output=True, check=True).stdout:
        print("skipped: this build has no libpqxx")
    else:
        return
    sys.exit(77)


class Server:
    """Started by `start`, gone with `remove`."""

    def __init__(self):
        self.programs = Path(FOUND[-1]).parent
        self.folder = Path(tempfile.mkdtemp(prefix="finetune-postgres-"))
        self.as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_owner:
            shutil.chown(self.folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    @property
    def data(self):
        return str(self.folder / "data")

    def run(self, program, *arguments):
        subprocess.run([*self.as_owner, str(self.programs / program), *arguments], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-l", str(self.folder / "log"), "-o",
                 f"-k {self.folder} -h 127.0.0.1 -p {self.port} -F", "start")

    def stop(self, how="immediate"):
        self.run("pg_ctl", "-D", self.data, "-w", "-m", how, "stop")

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        self.sql("postgres", f"CREATE DATABASE {database}")
        return self.url(database)

    def sql(self, database, query):
        """Rows as lists of texts."""
        done = subprocess.run([str(self.programs / "psql"), "-qtAX", "-F", "\t", self.url(database), "-c", query],
                              check=True, capture_output=True, text=True, timeout=60)
        return [line.split("\t") for line in done.stdout.splitlines() if line]

    def remove(self):
        try:
            self.stop()
        except subprocess.CalledProcessError:
            pass  # it was stopped
        shutil.rmtree(self.folder, ignore_errors=True)
