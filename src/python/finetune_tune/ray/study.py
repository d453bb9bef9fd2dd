"""A study whose trials are computed by Ray's workers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

import ray

from ..configuration import Configuration, Resolved, merged, resolve
from ..display import callbacks, put_of
from ..errors import Error
from ..results import Study
from ..runs import OnStep, finished, rows_of
from .lanes import LaneEnd, Workers

_RESUME = "finetune_tune.ray.resume({{folder!r}}, num_workers={workers})"
# Where trials are computed is Ray's affair.
PLACED_BY_RAY = ("run.devices", "run.lanes", "run.threads", "run.profile")


def tune(
    config: Configuration = None,
    /,
    *,
    num_workers: int | Any,
    resources_per_worker: dict[str, float] | None | Any = None,
    stand_in_seconds: float | Any = 60,
    on_step: OnStep | None | Any = None,
    progress: bool | Any = True,
    overwrite: bool | Any = False,
    **keys: Any,
) -> Study:
    """finetune_tune.tune with the trials on `num_workers` workers of a Ray cluster (ray.init() is called where nobody has).

    The study, its decisions and its folder are here; a worker holds the base, the data and its share of the trials. Decisions
    and numbers are those of one process. model.path, data.* and model.adapter are paths that all machines share; rows go through
    Ray's object store once. A worker or machine that dies loses no trial: another worker takes its lane up from the last states
    that came over (at most 32 rounds back) and does the steps since again.

    resources_per_worker: {"num_gpus": 1} where the cluster has as many GPUs as workers, else {"num_cpus": an even share}.
    stand_in_seconds: how long a new worker is waited for before a living one takes the lane beside its own.

    Workers do not wait for each other's steps: each goes up to 8 rounds ahead, until one of its own trials is to be judged, which
    waits for the steps of that round on all workers. With on_step, or a scheduler that acts on trials between rungs (pbt, pb2,
    early_exit, replay), all go in step. A worker has slots for half more than an even share, where all have the memory: slower workers
    get fewer trials, by what their steps take.
    """
    from .. import _core

    given = resolve(config, keys)
    _refuse_placement(given)
    with _workers(given, num_workers, resources_per_worker, stand_in_seconds, progress) as (workers, ends):
        here = _settled(given, workers)
        with callbacks(on_step, progress) as hooks:
            ended = _core.tune(given.file, here, given.rows, overwrite, hooks, ends=ends, begin=lambda needed, wanted: workers.begin(needed, wanted, ends))
        return finished(ended, _RESUME.format(workers=num_workers))


def resume(
    out: str | os.PathLike,
    /,
    *,
    num_workers: int,
    resources_per_worker: dict[str, float] | None = None,
    stand_in_seconds: float = 60,
    data: Mapping[str, Any] | None = None,
    elsewhere: bool = False,
    on_step: OnStep | None = None,
    progress: bool = True,
) -> Study:
    """finetune_tune.resume of a run of tune with workers, as many as it had; to be called in the folder where it was begun."""
    from .. import _core

    given = Resolved(os.path.join(os.fspath(out), "run.yaml"), "{}", rows_of(data))
    with _workers(given, num_workers, resources_per_worker, stand_in_seconds, progress) as (workers, ends):
        with callbacks(on_step, progress) as hooks:
            ended = _core.resume(os.fspath(out), given.rows, elsewhere, hooks, ends=ends, begin=lambda needed, wanted: workers.begin(needed, wanted, ends))
        return finished(ended, _RESUME.format(workers=num_workers))


@contextmanager
def _workers(given: Resolved, count: int, resources: dict[str, float] | None, stand_in_seconds: float, progress: bool):
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise Error(f"num_workers is {count!r}; a whole number of at least 1 is possible")
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    each = resources or _even_share(count)
    say = put_of(progress) or (lambda text: None)
    workers = Workers(count, each, _arguments(given, each), stand_in_seconds, say)
    try:
        say(f"{count} workers on {', '.join(sorted(set(workers.nodes)))}: {workers.facts.device} each\n")
        yield workers, [LaneEnd(workers) for _ in range(count)]
    finally:
        workers.end()


def _refuse_placement(given: Resolved) -> None:
    settings = json.loads(given.json)
    for key in PLACED_BY_RAY:
        section, name = key.split(".")
        if key in settings or name in (settings.get(section) or {}):
            raise Error(f"{key} has no meaning here: Ray places the workers; resources_per_worker says what each has")


def _even_share(workers: int) -> dict[str, float]:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if sum(int(node.get("GPU", 0)) for node in nodes) >= workers:
        return {"num_gpus": 1}
    processors = [int(node.get("CPU", 0)) for node in nodes]
    for share in range(max(processors, default=0), 0, -1):  # a worker is on one machine
        if sum(count // share for count in processors) >= workers:
            return {"num_cpus": share}
    raise Error(
        f"num_workers is {workers}, and the cluster has {sum(processors)} processors; give fewer, or resources_per_worker"
    )


def _arguments(given: Resolved, resources: dict[str, float]) -> tuple[Any, ...]:
    gpu = resources.get("num_gpus", 0) > 0
    run: dict[str, Any] = {"run.devices": ["cuda:0" if gpu else "cpu"], "run.lanes": 1}
    if not gpu:
        run["run.threads"] = max(1, int(resources.get("num_cpus", 1)))
    text = json.dumps(merged(json.loads(given.json), run), ensure_ascii=False)
    return os.getcwd(), os.path.abspath(given.file) if given.file else "", text, ray.put(given.rows)


def _settled(given: Resolved, workers: Workers) -> str:
    """The configuration of the study's own process, which computes nothing: what the workers have settled is given."""
    facts = workers.facts
    settled = {
        "run.devices": ["cpu"],
        "run.lanes": 1,
        "run.tokens_per_pass": facts.tokens_per_pass,
        "run.kernels": facts.kernels,
        "model.dtype": facts.dtype,
    }
    return json.dumps(merged(json.loads(given.json), settled), ensure_ascii=False)
