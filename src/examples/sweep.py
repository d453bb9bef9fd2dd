"""A sweep over learning rate and rank.    python3 sweep.py MODEL TRAIN OUT ['{"train.steps": 100}']"""

import json
import sys

import finetune_tune

model, train, out, *more = sys.argv[1:]
study = finetune_tune.tune(
    model=model,
    data={"train": train},
    search={"train.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}, "train.lora.rank": {"choices": [8, 16, 32]}},
    tune={"trials": 8},
    run={"out": out},
    **json.loads("".join(more) or "{}"),
)
print(study.trials, study.best, study.adapter, sep="\n")
