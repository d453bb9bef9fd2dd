"""Studies over Ray's workers: a local cluster of two nodes."""

import json
import os
import signal
from pathlib import Path

import pytest

import finetune_tune

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200 << 20})
    node = made.add_node(num_cpus=1, object_store_memory=200 << 20)
    ray.init(address=made.address, log_to_driver=False)
    yield made, node
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def search(config):
    config["tune"].update(trials=6, scheduler="asha", sampler="random")
    config["train"]["steps"] = 40
    del config["run"]["devices"], config["run"]["lanes"]
    return config


def metrics_of(study):
    return [(study.out / f"trials/{trial.id:06}/metrics.jsonl").read_bytes() for trial in study.runs]


def here(search, name):
    study = finetune_tune.tune(search, progress=False, **{"run.out": search["run"]["out"].with_name(name), "run.devices": ["cpu"]})
    return study


def test_a_study_of_two_workers_is_that_of_one_process(cluster, search):
    alone = here(search, "alone")
    study = finetune_tune.ray.tune(search, num_workers=2, progress=False)
    assert metrics_of(study) == metrics_of(alone)
    assert study.best == alone.best
    assert [trial.state for trial in study.runs] == [trial.state for trial in alone.runs]
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (study.adapter / name).read_bytes() == (alone.adapter / name).read_bytes()


def test_a_population_moves_trials_between_workers(cluster, search):
    search["tune"].update(trials=4, sampler="random", scheduler={"name": "pbt", "interval": 10})
    alone = here(search, "alone")
    study = finetune_tune.ray.tune(search, num_workers=2, progress=False)
    assert metrics_of(study) == metrics_of(alone)
    assert study.best == alone.best


def test_a_worker_that_dies_loses_nothing(cluster, search, capfd):
    alone = here(search, "alone")
    killed = []

    def kill_one(reports):
        if reports[0].step == 15 and not killed:
            killed.append(_pid_of_a_worker())
            os.kill(killed[0], signal.SIGKILL)

    study = finetune_tune.ray.tune(search, num_workers=2, on_step=kill_one)
    assert killed and "a lane was lost" in capfd.readouterr().err
    assert metrics_of(study) == metrics_of(alone) and study.best == alone.best


def test_a_slow_worker_gets_fewer_trials(cluster, search, monkeypatch):
    """The clock of the second worker says three times as much as it took: more than its share of trials leaves it."""
    from finetune_tune.ray.lanes import LaneEnd

    ends, packs = [], {}
    send, receive, attach = LaneEnd.send, LaneEnd.receive, LaneEnd.attach

    def number(end, actor, lane):
        ends.append(end)
        packs[end] = []
        attach(end, actor, lane)

    def watch(end, request, place):
        asked = json.loads(request)
        if asked["do"] == "step":
            packs[end].append(len(asked["trials"]))
        send(end, request, place)

    def slow_down(end):
        reply, image = receive(end)
        answer = json.loads(reply)
        if "steps" in answer:
            answer["seconds"] = len(answer["steps"]) * (3 if end is ends[1] else 1)
        return json.dumps(answer), image

    search["tune"].update(trials=8, scheduler="none")
    alone = here(search, "alone")
    monkeypatch.setattr(LaneEnd, "attach", number)
    monkeypatch.setattr(LaneEnd, "send", watch)
    monkeypatch.setattr(LaneEnd, "receive", slow_down)
    study = finetune_tune.ray.tune(search, num_workers=2, progress=False)
    first, second = (packs[end] for end in ends)
    assert (max(first), second[-1]) == (7, 2), "of 9 a third of the speed is a quarter: 7 and 2"
    assert metrics_of(study) == metrics_of(alone) and study.best == alone.best


def test_what_ray_decides_is_refused(cluster, search):
    with pytest.raises(finetune_tune.Error, match="run.threads has no meaning here"):
        finetune_tune.ray.tune(search, num_workers=2, **{"run.threads": 2})
    with pytest.raises(finetune_tune.Error, match="num_workers is 0; a whole number"):
        finetune_tune.ray.tune(search, num_workers=0)
    with pytest.raises(finetune_tune.Error, match="num_workers is 3, and the cluster has 2 processors"):
        finetune_tune.ray.tune(search, num_workers=3)


def _pid_of_a_worker():
    """Ray names its actors' processes."""
    return next(int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _command(folder).startswith(b"ray::Worker"))


def _command(folder):
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("scheduler", ["asha", "pbt"])
def test_ray_tunes_own_schedulers_drive_trials(cluster, config, tmp_path, scheduler):
    from ray import tune

    base = {**config, "train": {"steps": 12, "batch_size": 4}, "run": {"threads": 1}}
    base = {key: base[key] for key in ("model", "data", "train", "run")}
    base["model"] = {"path": str(base["model"]["path"])}
    base["data"] = {**base["data"], "train": str(base["data"]["train"]), "valid": str(base["data"]["valid"])}
    if scheduler == "asha":
        how = tune.schedulers.ASHAScheduler(metric="valid_loss", mode="min", grace_period=1, max_t=4, time_attr="training_iteration")
    else:
        how = tune.schedulers.PopulationBasedTraining(
            metric="valid_loss", mode="min", perturbation_interval=1, hyperparam_mutations={"train.learning_rate": tune.loguniform(1e-4, 1e-2)}
        )
    space = {"train.learning_rate": tune.loguniform(1e-4, 1e-2), "base": base, "steps_per_iteration": 3}
    results = tune.Tuner(
        finetune_tune.ray.Trainable,
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=4, scheduler=how, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path / "ray"), verbose=0, checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1)),
    ).fit()
    assert not results.errors
    steps = [result.metrics["step"] for result in results]
    assert max(steps) == 12 and all(result.metrics["valid_loss"] > 0 for result in results)


def test_a_study_of_workers_is_gone_on_with(cluster, search):
    alone = here(search, "alone")

    def fall_over(reports):
        if reports[0].step == 25:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finetune_tune.ray.tune(search, num_workers=1, on_step=fall_over, progress=False)
    out = search["run"]["out"]
    with pytest.raises(finetune_tune.Error, match=r"was begun with 1 workers; go on with finetune_tune.ray.resume"):
        finetune_tune.resume(out, progress=False)
    study = finetune_tune.ray.resume(out, num_workers=1, progress=False)
    assert metrics_of(study) == metrics_of(alone) and study.best == alone.best


# The last one: the cluster has one machine less from here on.
def test_where_nothing_new_can_be_had_a_living_worker_takes_the_lane(cluster, search):
    alone = here(search, "alone")
    made, node = cluster
    gone = []

    def take_the_node_away(reports):
        if reports[0].step == 15 and not gone:
            made.remove_node(node, allow_graceful=False)
            gone.append(node)

    study = finetune_tune.ray.tune(search, num_workers=2, on_step=take_the_node_away, stand_in_seconds=5, progress=False)
    assert gone
    assert metrics_of(study) == metrics_of(alone) and study.best == alone.best
