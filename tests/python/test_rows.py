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
    told = str(study)  # names no command that wants them, but the call that does the same
    assert "finetune_tune export" in told and "memory:" not in told and "finetune_tune train" not in told
    call = next(line.split("#")[0].strip() for line in told.splitlines() if "finetune_tune.train(" in line)
    call = call.replace('"train": rows', '"train": rows["train"]').replace('"valid": rows', '"valid": rows["valid"]')
    run = eval(call, {"finetune_tune": finetune_tune, "rows": rows})
    assert (run.weights / "adapter_model.safetensors").read_bytes() == (study.adapter / "adapter_model.safetensors").read_bytes()


def test_rows_do_not_change_what_the_caller_holds(config, rows):
    before = json.dumps(config, default=str)
    finetune_tune.check(config, progress=False, data={"train": rows["train"]})
    assert json.dumps(config, default=str) == before


def test_what_holds_no_rows_is_refused_by_name(config, rows):
    for given, says in [
        ([], "data.valid is an empty list"),
        (3, "data.valid is of type int"),
        ({"path": "x", "wait": 2}, "data.valid is a dict of path, wait"),
    ]:
        with pytest.raises(finetune_tune.Error, match=says):
            finetune_tune.check({**config, "data": {**config["data"], "valid": given}}, progress=False)
    with pytest.raises(finetune_tune.Error, match="data is of type list; a dict can be given"):
        finetune_tune.check(config, progress=False, data=rows["train"])
    with pytest.raises(finetune_tune.Error, match="data holds the rows that the run was begun with"):
        finetune_tune.resume("nowhere", data={"trian": rows["train"]})


def test_nan_is_nothing_as_in_pandas(config, rows):
    config["data"]["train"] = [{**row, "note": float("nan")} for row in rows["train"]]
    assert finetune_tune.check(config, progress=False).found["train"]["examples"] == len(rows["train"])


def test_prompts_are_texts_and_dicts(config):
    model = str(config["model"]["path"])
    for prompts, says in [(b"abc", "prompts is of type bytes"), ([3], "prompts holds a int"), ([], "prompts is empty")]:
        with pytest.raises(finetune_tune.Error, match=says):
            finetune_tune.generate(prompts, model=model, progress=False)
    with pytest.raises(finetune_tune.Error, match="stop is ''"):
        finetune_tune.generate("a", model=model, stop="", progress=False)
    with pytest.raises(finetune_tune.Error, match="max_new_tokens is True"):
        finetune_tune.generate("a", model=model, max_new_tokens=True, progress=False)


def test_a_model_is_a_folder_or_was_loaded_from_one(config):
    class Peft:
        peft_config = {}

    with pytest.raises(finetune_tune.Error, match="model.path is a PEFT model"):
        finetune_tune.check(config, progress=False, model=Peft())
    with pytest.raises(finetune_tune.Error, match="model.path is of type object"):
        finetune_tune.check(config, progress=False, model={"path": object()})
    shorthand = {**config, "model": config["model"]["path"]}
    assert finetune_tune.check(shorthand, progress=False, model={"dtype": "float32"}).found["train"]["examples"] > 0
