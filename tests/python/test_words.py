"""Messages say what can be done in Python."""

import re

import pytest

import finetune_tune

FLAG = re.compile(r"(^|[\s(`'])--[a-z]")


def refused(call):
    with pytest.raises(finetune_tune.Error) as raised:
        call()
    assert not FLAG.search(str(raised.value)), raised.value
    return str(raised.value)


def test_a_folder_that_is_not_empty_names_the_argument(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    said = refused(lambda: finetune_tune.tune(config, progress=False))
    assert said.endswith("run.out is not empty; choose another folder, or add overwrite=True")
    said = refused(lambda: finetune_tune.tune(config, progress=False, overwrite=True))
    assert "run.out holds mine.txt" in said and "; overwrite=True replaces only its own runs" in said


def test_a_run_that_was_cut_off_names_the_call(config, tmp_path):
    config["run"]["save_every"] = 2

    def on_step(reports):
        if reports[0].step == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finetune_tune.tune(config, on_step=on_step, progress=False)
    said = refused(lambda: finetune_tune.tune(config, progress=False))
    assert f'(finetune_tune.resume("{tmp_path}/run")); choose' in said


def test_what_is_missing_is_named_as_a_key(config):
    del config["data"]["valid"]
    config["data"]["valid_fraction"] = 0
    said = refused(lambda: finetune_tune.tune(config, progress=False))
    assert "give data.valid, or data.valid_fraction above 0" in said
    said = refused(lambda: finetune_tune.train({**config, "model": {"path": "nowhere"}}, progress=False))
    assert "model.path" in said


def test_advice_names_keys(config, capfd):
    config["tune"].update(trials=100_000, eval_share=0.2)
    config["train"]["steps"] = 100_000
    checked = finetune_tune.check(config)
    said = checked.text + capfd.readouterr().err
    assert "shorter: tune.budget.seconds=3600 ends it after an hour" in said and "fewer train.steps or tune.trials" in said
    assert not FLAG.search(said), said


def test_data_is_shown_as_it_is(config):
    config["data"]["train"] = [{"prompt": "ls --out", "completion": " --overwrite"}] * 8
    assert "ls --out" in finetune_tune.check(config, progress=False).text
