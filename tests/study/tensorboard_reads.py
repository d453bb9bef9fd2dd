#!/usr/bin/env python3
"""Reads a run's tensorboard/ with the tensorboard package and holds it against metrics.jsonl and report.json. Exit code 77
where the package is missing.

    python tensorboard_reads.py RUN
"""

import json
import math
import sys
from pathlib import Path

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
except ImportError as error:
    print(error)
    sys.exit(77)

TAGS = {"train_loss": "train_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm", "valid_loss": "valid_loss"}


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what} is {found!r}, not {expected!r}")


def close(what, found, expected):
    """float32 in the event file; json says "nan" and "inf" as texts."""
    expected = float(expected)
    if not (math.isclose(found, expected, rel_tol=6e-8) or (math.isnan(found) and math.isnan(expected))):
        sys.exit(f"{what} is {found!r}, not {expected!r}")


def hparams(events, tag):
    return metadata.parse_session_start_info_plugin_data(events.SummaryMetadata(tag).plugin_data.content)


def compare(run, trial):
    name = f"{trial['id']:06}"
    events = EventAccumulator(str(run / "tensorboard" / name), size_guidance={"scalars": 0})
    events.Reload()
    lines = [json.loads(line) for line in (run / "trials" / name / "metrics.jsonl").read_text().splitlines()]
    for tag, key in TAGS.items():
        expected = [(line["step"], line[key]) for line in lines if key in line]
        found = [(event.step, event.value) for event in events.Scalars(tag)] if expected else []
        same(f"{name}: steps of {tag}", [step for step, _ in found], [step for step, _ in expected])
        for (step, value), (_, number) in zip(found, expected):
            close(f"{name}: {tag} at {step}", value, number)
    start = hparams(events, metadata.SESSION_START_INFO_TAG)
    values = {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
    same(f"{name}: hyperparameters", values, trial["params"])
    end = metadata.parse_session_end_info_plugin_data(
        events.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content)
    same(f"{name}: status", end.status, 2 if trial["state"] == "failed" else 1)
    experiment = metadata.parse_experiment_plugin_data(
        events.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content)
    same(f"{name}: metrics", experiment.metric_infos[0].name.tag, "valid_loss")
    columns = [info.name for info in experiment.hparam_infos]
    same(f"{name}: hyperparameters without a column", [key for key in values if key not in columns], [])


if __name__ == "__main__":
    run = Path(sys.argv[1])
    trials = json.loads((run / "report.json").read_text())["trials"]
    for trial in trials:
        compare(run, trial)
    print(f"tensorboard reads {len(trials)} trials")
