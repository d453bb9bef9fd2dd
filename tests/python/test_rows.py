"""Data that a program holds."""

import json

import pytest
from conftest import run_program

import finetune_tune


def losses(study):
    return [trial.metric for trial in study.runs]


@pytest.fixture
def of_files(config):
    return losses(finetune_tune.tune(config, progress=False, **{"run.out": config["run"]["out"].with_name("files")}))


def test_lists_of_dicts_are_read_as_their_file_is(config, rows, of_files):
    config["data"].update(train=rows["train"], valid=rows["valid"])
    assert losses(finetune_tune.tune(config, progress=False)) == of_files


def test_a_frame_is_read_as_its_file_is(config, rows, of_files):
    pandas = pytest.importorskip("pandas")
    config["data"].update(train=pandas.DataFrame(rows["train"]), valid=pandas.DataFrame(rows["valid"]))
    assert losses(finetune_tune.tune(config, progress=False)) == of_files


def test_a_dataset_is_read_as_its_file_is(config, rows, of_files):
    datasets = pytest.importorskip("datasets")
    config["data"].update(train=datasets.Dataset.from_list(rows["train"]), valid=datasets.Dataset.from_list(rows["valid"]))
    assert losses(finetune_tune.tune(config, progress=False)) == of_files


def test_sources_have_weights_and_names(config, rows):
    half = len(rows["train"]) // 2
    config["data"]["train"] = [
        {"path": rows["train"][:half], "weight": 2, "name": "first"},
        {"path": rows["train"][half:], "weight": 1, "name": "second"},
    ]
    found = finetune_tune.check(config, progress=False)
    assert "first" in found.text and "second" in found.text


def test_a_bad_row_is_named(config, rows):
    config["data"]["train"] = [*rows["train"], {**rows["train"][0], "prompt": 7, "completion": {}}]
    with pytest.raises(finetune_tune.Error, match=f"memory:train.jsonl:{len(rows['train']) + 1}: "):
        finetune_tune.tune(config, progress=False)
    config["data"]["train"] = [*rows["train"], 7]
    with pytest.raises(finetune_tune.Error, match=f"data.train: row {len(rows['train']) + 1} is of type int"):
        finetune_tune.tune(config, progress=False)
    config["data"]["train"] = [{"prompt": "a", "completion": object()}]
    with pytest.raises(finetune_tune.Error, match="data.train: row 1 cannot be written as JSON"):
        finetune_tune.tune(config, progress=False)


def test_the_program_says_that_rows_are_gone(config, rows):
    config["data"].update(train=rows["train"], valid=rows["valid"])
    study = finetune_tune.tune(config, progress=False)
    again = run_program("train", "--config", study.out / "best.yaml", "--out", study.out.with_name("again"))
    assert again.returncode == 2
    assert "memory:train.jsonl: was held by the program that began this" in again.stderr


def test_rows_do_not_change_what_the_caller_holds(config, rows):
    before = json.dumps(config, default=str)
    finetune_tune.check(config, progress=False, data={"train": rows["train"]})
    assert json.dumps(config, default=str) == before
