#!/usr/bin/env python3
"""Opens a run's study.db with Optuna and holds it against report.json. Exit code 77 where Optuna is missing.

    python optuna_reads.py RUN
"""

import datetime
import json
import sys
from pathlib import Path

try:
    import optuna
    import pandas  # noqa: F401  (trials_dataframe wants it)
except ImportError as error:
    print(error)
    sys.exit(77)

STATES = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}


def same(what, found, expected):
    if found != expected:
        sys.exit(f"optuna {optuna.__version__}: {what} is {found!r}, not {expected!r}")


def compare(study, report):
    same("direction", study.direction.name.lower(), report["study"]["direction"])
    same("metric", study.metric_names, [report["study"]["metric"]])
    same("time_zone", study.user_attrs["time_zone"], "UTC")
    same("trials", len(study.trials), len(report["trials"]))
    same("rows of the dataframe", len(study.trials_dataframe()), len(report["trials"]))
    now = datetime.datetime.now(datetime.timezone.utc)
    for trial, expected in zip(study.trials, report["trials"]):
        name = f"trial {expected['id']}: "
        same(name + "number", trial.number, expected["id"])
        same(name + "state", trial.state.name, STATES[expected["state"]])
        same(name + "parameters", trial.params, expected["params"])
        same(name + "value", trial.value, expected["metric"])
        same(name + "reason", trial.user_attrs.get("reason", ""), expected["reason"])
        if trial.value is not None:
            same(name + "value at its best step", trial.intermediate_values[expected["step"]], trial.value)
        start = trial.datetime_start
        start = start if start.tzinfo else start.replace(tzinfo=datetime.timezone.utc)
        same(name + "start within this hour", abs((now - start).total_seconds()) < 3600, True)
    if any(trial.state.name == "COMPLETE" for trial in study.trials):
        same("best trial", study.best_trial.number, report["best"]["trial"])
        same("best value", study.best_value, report["best"]["metric"])


if __name__ == "__main__":
    run = Path(sys.argv[1])
    compare(optuna.load_study(study_name="study", storage=f"sqlite:///{run.resolve()}/study.db"),
            json.loads((run / "report.json").read_text()))
    print(f"optuna {optuna.__version__} reads it")
