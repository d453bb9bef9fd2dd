#!/usr/bin/env python3
"""Writes a study with Optuna into FILE, of every state there is. Exit code 77 where Optuna is missing.

    python optuna_writes.py FILE
"""

import sys

try:
    import optuna
except ImportError as error:
    print(error)
    sys.exit(77)


def objective(trial):
    rate = trial.suggest_float("train.learning_rate", 1e-5, 1.0, log=True)
    schedule = trial.suggest_categorical("train.schedule", ["linear", "constant", "cosine"])
    trial.suggest_int("train.batch_size", 1, 3)
    trial.suggest_float("unknown", 0, 1)
    if trial.number == 1:
        raise ValueError
    trial.report(rate, 1)
    if trial.number == 2:
        raise optuna.TrialPruned
    return float("inf") if trial.number == 3 else rate + (schedule == "linear")


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="theirs", storage=f"sqlite:///{sys.argv[1]}")
    study.set_metric_names(["valid_loss"])
    inside = {"train.learning_rate": 0.01, "train.schedule": "linear", "train.batch_size": 2, "unknown": 0.5}
    for changes in ({}, {}, {}, {}, {"train.learning_rate": 0.9}, {"train.schedule": "cosine"}):
        study.enqueue_trial(inside | changes)
    study.optimize(objective, n_trials=6, catch=ValueError)
    study.ask()
    study.enqueue_trial(inside)
    print(f"optuna {optuna.__version__} wrote it")
