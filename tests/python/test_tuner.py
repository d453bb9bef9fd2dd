"""The tuner alone."""

import json
import subprocess

import pytest
from conftest import PROGRAM

import finetune_tune

SPACE = {
    "search": {"x": {"low": -1, "high": 1}, "kind": {"choices": ["a", "b"]}},
    "tune": {"trials": 6, "steps": 9, "sampler": "tpe", "scheduler": "asha", "seed": 3},
}


def value(params, step):
    return (params["x"] - 0.3) ** 2 + (params["kind"] == "b") + 1 / step


def test_a_tuner_says_what_asktell_says(tmp_path):
    tuner = finetune_tune.Tuner(SPACE)
    file = tmp_path / "space.json"
    file.write_text(json.dumps(SPACE))
    with subprocess.Popen([PROGRAM, "asktell", "--config", file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def asktell(request):
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        trials = tuner.ask(6)
        assert [{"id": one.id, "params": one.params} for one in trials] == asktell({"ask": 6})["trials"]
        running = {trial.id: trial.params for trial in trials}
        for step in range(1, 10):
            reports = [{"id": id, "step": step, "value": value(params, step)} for id, params in running.items()]
            actions = tuner.report_round(reports)
            assert actions == asktell({"report": reports})["actions"]
            for action in actions:
                running.pop(action["id"])
            if not running:
                break
        assert tuner.best() == asktell({"best": 1})["best"]
        assert tuner.rungs() == asktell({"rungs": 1})
        process.stdin.close()


def test_a_tuner_is_iterated_until_its_trials_are_used_up():
    tuner = finetune_tune.Tuner({"search": SPACE["search"], "tune": {"trials": 5, "direction": "maximize"}})
    ids = []
    for trial in tuner:
        tuner.tell(trial.id, -value(trial.params, 1))
        ids.append(trial.id)
    assert ids == [0, 1, 2, 3, 4] and tuner.done
    assert tuner.best()["value"] <= 0


def test_a_tuner_is_saved_and_loaded(tmp_path):
    first, second = finetune_tune.Tuner(SPACE), finetune_tune.Tuner(SPACE)
    first.tell(first.ask(1)[0].id, 0.5)
    first.save(tmp_path / "state.json")
    second.load(tmp_path / "state.json")
    assert first.ask(1) == second.ask(1)


def test_what_a_tuner_says_can_be_left_out(capfd):
    finetune_tune.Tuner(SPACE, **{"train.steps": 5})
    assert "without meaning here: train.steps" in capfd.readouterr().err
    finetune_tune.Tuner(SPACE, progress=False, **{"train.steps": 5})
    assert capfd.readouterr().err == ""


def test_faults_are_told():
    with pytest.raises(finetune_tune.Error, match="search is missing"):
        finetune_tune.Tuner(tune={"trials": 2})
    with pytest.raises(finetune_tune.Error, match="tune.trails"):
        finetune_tune.Tuner(SPACE, **{"tune.trails": 2})
    tuner = finetune_tune.Tuner(SPACE)
    with pytest.raises(finetune_tune.Error, match="there is no trial 17"):
        tuner.tell(17, 0.5)
    trial = tuner.ask(1)[0]
    tuner.tell(trial.id, float("nan"))
    assert tuner.best() is None
