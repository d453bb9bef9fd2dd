"""A rule of your own beside the scheduler: a trial whose training loss has not fallen by one per cent over its last ten
steps is stopped.

    python3 stop_rule.py MODEL TRAIN OUT ['{"train.steps": 100}']
"""

import json
import sys
from collections import defaultdict

import finetune_tune

WINDOW = 10
losses: defaultdict[int, list[float]] = defaultdict(list)


def stop_when_flat(reports):
    for report in reports:
        last = losses[report.id]
        last.append(report.train_loss)
        before, now = sum(last[-WINDOW : -WINDOW // 2]), sum(last[-WINDOW // 2 :])
        if len(last) >= WINDOW and now > 0.99 * before:
            yield {"id": report.id, "do": "stop", "reason": "training loss is flat"}


model, train, out, *more = sys.argv[1:]
study = finetune_tune.tune(
    {"model": model, "data": {"train": train}, "run": {"out": out}, "tune": {"trials": 8, "scheduler": "none"}},
    on_step=stop_when_flat,
    **json.loads("".join(more) or "{}"),
)
for trial in study.runs:
    print(trial.id, trial.steps, trial.state, trial.reason)
