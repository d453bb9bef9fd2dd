"""A small model and data, made once by `finetune_tune demo`, and the program that the package brings."""

import json
import subprocess
from pathlib import Path

import pytest

import finetune_tune

PROGRAM = Path(finetune_tune.__file__).parent / "finetune_tune"


def run_program(*words, **options):
    return subprocess.run([str(PROGRAM), *map(str, words)], capture_output=True, text=True, **options)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The folder of a demo: pretrained/model, task_train.jsonl, task_valid.jsonl."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    made = run_program("demo", "--out", folder, "--set", "tune.trials=1", "--set", "train.steps=1")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def rows(demo):
    return {name: [json.loads(line) for line in (demo / f"task_{name}.jsonl").read_text().splitlines()] for name in ("train", "valid")}


@pytest.fixture
def config(demo, tmp_path):
    """A search of four trials that takes about a second, as nested dicts."""
    return {
        "model": {"path": demo / "pretrained" / "model"},
        "data": {"train": demo / "task_train.jsonl", "valid": demo / "task_valid.jsonl", "max_length": 64},
        "train": {"steps": 8, "batch_size": 4},
        "search": {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        "tune": {"trials": 4, "sampler": "random", "scheduler": "none", "confirm": None},
        "run": {"out": tmp_path / "run", "devices": ["cpu"], "lanes": 1},
    }
