"""One trial as Ray Tune's Trainable, for its own schedulers and searchers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.tune import Trainable as RayTrainable

from ..configuration import resolve
from ..errors import Error

_TRIAL = 0
_IMAGE = "trial.safetensors"


class Trainable(RayTrainable):
    """Ray Tune's configuration holds what is searched by dotted key, and two entries of its own:

        param_space = {
            "train.learning_rate": ray.tune.loguniform(1e-5, 1e-2),
            "base": {"model": "models/SmolLM2-135M", "data": {"train": "train.jsonl"}, "train": {"steps": 200}},
            "steps_per_iteration": 20,
        }
        ray.tune.Tuner(finetune_tune.ray.Trainable, param_space=param_space, ...)

    base: the configuration that all trials share, as for finetune_tune.tune; its `search`, where there is one, says how large the
    searched sizes (train.lora.rank) become. An iteration is steps_per_iteration optimizer steps and an evaluation; its result has
    valid_loss and the other metrics, train_loss, step, and done once train.steps are over. Actors are reused: the base stays
    loaded. Checkpoints are a few MB: weights, moments, position in the data.
    """

    def setup(self, config: dict[str, Any]) -> None:
        from .. import _core

        given = resolve(config.get("base"), {"run.lanes": 1})
        self._host = _core.LaneHost(given.file, given.json, given.rows)
        self._lane = self._host.begin(json.loads(self._host.facts())["tokens_per_pass"], 1)
        self._steps_each = int(config.get("steps_per_iteration", 10))
        self._config = self._trial_config(config)
        self._step = 0
        self._ask({"do": "admit", "trial": _TRIAL, "config": self._config})

    def step(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        last = self._host.last_step(json.dumps(self._config))
        for _ in range(min(self._steps_each, last - self._step)):
            result = self._ask({"do": "step", "trials": [_TRIAL]})["steps"][0]
            if not result["finite"]:
                raise RuntimeError(result["failure"] or f"loss is {result['train_loss']} at step {result['step']}")
            self._step = result["step"]
        values = json.loads(self._host.evaluate(self._lane, _TRIAL))
        return {**values, "train_loss": result.get("train_loss"), "step": self._step, "done": self._step >= last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        _, image = self._host.serve(self._lane, json.dumps({"do": "capture", "trial": _TRIAL}), b"")
        if image is None:
            raise RuntimeError("there is no memory for a copy of the trial")
        (Path(checkpoint_dir) / _IMAGE).write_bytes(image)
        (Path(checkpoint_dir) / "step.json").write_text(json.dumps({"step": self._step}))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self._ask({"do": "release", "trial": _TRIAL})
        image = (Path(checkpoint_dir) / _IMAGE).read_bytes()
        self._ask({"do": "restore", "trial": _TRIAL, "config": self._config}, image)
        self._step = json.loads((Path(checkpoint_dir) / "step.json").read_text())["step"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial over the same base; False, and Ray makes a new actor, where it does not fit into this one."""
        if new_config.get("base") != self.config.get("base"):
            return False
        config = self._trial_config(new_config)
        self._ask({"do": "release", "trial": _TRIAL})
        try:
            self._ask({"do": "admit", "trial": _TRIAL, "config": config})
        except Error:
            return False
        self._steps_each = int(new_config.get("steps_per_iteration", 10))
        self._config, self._step = config, 0
        return True

    def _trial_config(self, config: dict[str, Any]) -> dict[str, Any]:
        params = {key: value for key, value in config.items() if key not in ("base", "steps_per_iteration")}
        return json.loads(self._host.trial_config(params))

    def _ask(self, request: dict[str, Any], image: bytes = b"") -> dict[str, Any]:
        reply = json.loads(self._host.serve(self._lane, json.dumps(request), image)[0])
        if "error" in reply:
            raise Error(reply["error"]["message"])
        return reply
