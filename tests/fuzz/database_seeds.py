#!/usr/bin/env python3
"""Makes seeds/database: a study of Optuna's, one that this program recorded, and rows as fuzz_database.cpp reads them.

    database_seeds.py STUDY_DB      with Optuna installed; STUDY_DB: of any short run
"""

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import optuna

SEEDS = Path(__file__).parent / "seeds" / "database"


def shrunk(source: Path, name: str):
    """A copy with the smallest pages, as one file without a log."""
    copy = Path(tempfile.mkdtemp()) / name
    shutil.copy(source, copy)
    connection = sqlite3.connect(copy)
    connection.executescript("UPDATE study_user_attributes SET value_json = '\"/models/a\"' WHERE key = 'model'")
    connection.executescript("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM")
    connection.close()
    shutil.copy(copy, SEEDS / name)


def objective(trial):
    value = trial.suggest_float("x", 0, 1) + (trial.suggest_categorical("c", ["a", 8]) == "a")
    trial.report(value, 1)
    if trial.number == 1:
        raise optuna.TrialPruned
    return value


def optuna_study(path: Path):
    study = optuna.create_study(study_name="seed", storage=f"sqlite:///{path}", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)


# A trial (id 1, number 1, COMPLETE), its x and c, its value; see Values in fuzz_database.cpp: 3 is 1, 56 is 0.5, 72 COMPLETE,
# 76 "x", 77 "c", 78 and 80 a real and a categorical distribution, 74 FINITE.
ROWS = bytes([0, 3, 3, 72, 2] + [1, 3, 76, 56, 78] + [1, 3, 77, 2, 80] + [2, 3, 2, 56, 74] + [3, 3, 4, 56, 74])

if __name__ == "__main__":
    SEEDS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        optuna_study(Path(folder) / "optuna.db")
        shrunk(Path(folder) / "optuna.db", "optuna.db")
    shrunk(Path(sys.argv[1]), "study.db")
    (SEEDS / "rows").write_bytes(ROWS)
