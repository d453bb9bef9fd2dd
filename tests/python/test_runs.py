"""tune, train, check and generate give what the command line gives."""

import json
import threading

import pytest
from conftest import run_program

import finetune_tune

# What a run says of clocks and of where it lies.
TIMED = {"seconds", "evaluation_seconds"}


def dotted(config, prefix=""):
    """--set words of a nested configuration."""
    words = []
    for key, value in config.items():
        if isinstance(value, dict) and not (prefix == "" and key == "search"):
            words += dotted(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            words += ["--set", f"{prefix}{key}={text.strip(chr(34))}"]
    return words


def without_times(report):
    if isinstance(report, dict):
        return {key: without_times(value) for key, value in report.items() if key not in TIMED}
    return report


def files_of(folder):
    names = ["best.yaml", *(f"trials/{id:06}/metrics.jsonl" for id in range(4))]
    names += [f"best/{path.name}" for path in sorted((folder / "best").iterdir())]
    return {name: (folder / name).read_bytes() for name in names}


def command_line(verb, config, tmp_path, *words):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config, default=str))
    return run_program(verb, "--config", file, "--json", *words)


def test_a_study_is_that_of_the_command_line_byte_for_byte(config, tmp_path):
    study = finetune_tune.tune(config, progress=False)
    here = files_of(tmp_path / "run")
    printed = command_line("tune", config, tmp_path, "--overwrite")
    assert printed.returncode == 0, printed.stderr
    assert files_of(tmp_path / "run") == here
    assert without_times(json.loads(printed.stdout)) == without_times(study.report)


def test_a_result_says_what_there_is(config, tmp_path):
    study = finetune_tune.tune(config, progress=False)
    assert study.best in study.runs and study.best.metric == min(trial.metric for trial in study.runs)
    assert study.out == tmp_path / "run" and study.adapter == tmp_path / "run" / "best"
    assert set(study.best.params) == {"train.learning_rate"}
    assert "is best" in str(study)
    again = finetune_tune.load(study.out)
    assert without_times(again.report) == without_times(study.report) and again.best == study.best


def test_trials_are_a_data_frame_where_pandas_is(config):
    pandas = pytest.importorskip("pandas")
    frame = finetune_tune.tune(config, progress=False).trials
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["id", "state", "metric", "step", "steps", "reason", "train.learning_rate"]
    assert list(frame["steps"]) == [8] * 4


def test_plots_are_sections_of_the_report(config, tmp_path):
    study = finetune_tune.tune(config, progress=False)
    plot = study.plot()
    assert "<svg" in plot.page and "Learning curves" in plot.page and "All trials" not in plot.page
    assert plot._repr_html_().startswith("<iframe srcdoc=")
    assert plot.save(tmp_path / "curves.html").read_text() == plot.page
    with pytest.raises(finetune_tune.Error, match="has no section curve; it has .*did you mean curves"):
        study.plot("curve")
    with pytest.raises(finetune_tune.Error, match="nothing to say of population"):
        study.plot("population")


def test_one_configuration_is_trained_as_by_the_command_line(config, tmp_path):
    del config["search"], config["tune"]
    run = finetune_tune.train(config, progress=False)
    adapter = (run.weights / "adapter_model.safetensors").read_bytes()
    printed = command_line("train", config, tmp_path, "--overwrite")
    assert printed.returncode == 0, printed.stderr
    assert (run.weights / "adapter_model.safetensors").read_bytes() == adapter
    result = json.loads(printed.stdout)
    assert run.weights == run.out / "adapter" and run.out == tmp_path / "run"
    assert (run.steps, run.train_loss, run.values["valid_loss"]) == (8, result["train_loss"], result["valid_loss"])


def test_check_says_what_the_command_line_says(config, tmp_path):
    checked = finetune_tune.check(config, progress=False)
    printed = command_line("check", config, tmp_path)
    assert printed.returncode == 0, printed.stderr
    same = ["train", "valid", "shared_examples", "save_bytes", "concurrent"]
    assert {key: checked.found[key] for key in same} == {key: json.loads(printed.stdout)[key] for key in same}
    assert "sampler random, scheduler none" in str(checked)


def test_generate_continues_prompts_as_the_command_line_does(config):
    model = str(config["model"]["path"])
    texts = ["the cat", "a bird"]
    made = finetune_tune.generate(texts, model=model, max_new_tokens=5, progress=False)
    for text, completion in zip(texts, made):
        printed = run_program("generate", "--model", model, "--prompt", text, "--max-new-tokens", "5", "--json")
        assert json.loads(printed.stdout) == {"prompt": completion.prompt, "completion": completion.text, "tokens": completion.tokens}
    assert finetune_tune.generate(texts[0], model=model, max_new_tokens=5, progress=False) == made[:1]


def test_a_winner_writes_texts_whose_run_held_rows_out(config):
    del config["data"]["valid"]
    study = finetune_tune.tune(config, progress=False)
    made = finetune_tune.generate("the cat", study.out / "best.yaml", progress=False, max_new_tokens=4, **{"model.adapter": study.adapter})
    base = finetune_tune.generate("the cat", model=config["model"]["path"], progress=False, max_new_tokens=4)
    assert made[0].prompt == base[0].prompt and made[0].tokens > 0


@pytest.mark.parametrize(
    "change",
    [
        {"train.lora.rank": 0},
        {"train.learning_rte": 1e-3},
        {"tune.sampler": "tpee"},
        {"data.train": "nowhere.jsonl"},
        {"model.path": "nowhere"},
        {"search": {"train.steps": {"low": 1, "high": 2}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_errors_are_those_of_the_command_line(config, tmp_path, change):
    with pytest.raises(finetune_tune.Error) as raised:
        finetune_tune.tune(config, progress=False, **change)
    words = ["--set", f"{next(iter(change))}={json.dumps(next(iter(change.values()))).strip(chr(34))}"]
    printed = command_line("tune", config, tmp_path, *words)
    assert printed.returncode == 2
    assert printed.stderr.strip().replace("--model", "model.path") == f"finetune_tune: {raised.value}"  # in Python's words
    assert raised.value.kind == "bad_input"
    assert not (tmp_path / "run").exists()


def test_a_key_that_is_missing_is_named(config):
    del config["run"]
    with pytest.raises(finetune_tune.Error, match="run.out is missing"):
        finetune_tune.tune(config, progress=False)


def test_a_study_may_run_on_a_thread_of_its_own(config):
    found = []
    thread = threading.Thread(target=lambda: found.append(finetune_tune.tune(config, progress=False)))
    thread.start()
    thread.join()
    assert len(found[0].runs) == 4


def test_what_happens_is_said_on_stderr(config, capfd):
    finetune_tune.tune(config)
    lines = capfd.readouterr().err
    assert "sampler random, scheduler none" in lines and "best so far" in lines
    finetune_tune.tune(config, progress=False, overwrite=True)
    assert capfd.readouterr().err == ""


def test_torch_is_left_as_it_was(config):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    torch.set_num_threads(1)
    finetune_tune.tune(config, progress=False)
    assert torch.get_num_threads() == 1 and not torch.are_deterministic_algorithms_enabled()
