"""The examples in src/examples, as somebody runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "src" / "examples"
SMALL = {"train.steps": 8, "train.batch_size": 4, "data.max_length": 64}


def run(name, *words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, EXAMPLES / name, *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def places(demo, tmp_path):
    return demo / "pretrained" / "model", demo / "task_train.jsonl", tmp_path / "out"


def test_a_sweep(places):
    printed = run("sweep.py", *places, json.dumps(SMALL))
    assert "Trial(id=" in printed and printed.rstrip().endswith("out/best")


def test_a_stop_rule_of_ones_own(places):
    two = {"search": {"train.learning_rate": {"choices": [1e-30, 1e-3]}}, "tune.trials": 2, "tune.sampler": "grid"}
    printed = run("stop_rule.py", *places, json.dumps({**SMALL, **two, "train.steps": 20}))
    assert printed.splitlines()[0].endswith("stopped training loss is flat")
    assert " 20 completed" in printed.splitlines()[1]


def test_something_else_is_tuned():
    pytest.importorskip("sklearn")
    printed = run("tune_scikit.py")
    value = float(printed.split("'value': ")[1].split("}")[0])
    assert value > 0.9  # measured 0.944; a constant answer has 0.1
