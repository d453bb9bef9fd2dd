"""The tuner alone, for an objective of your own."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .configuration import Configuration, resolve
from .display import put_of
from .errors import Error


@dataclass(frozen=True)
class Suggestion:
    """A trial to be run."""

    id: int
    params: dict[str, Any]


class Tuner:
    """asktell as a class: `search` and `tune` of the configuration, nothing of a model.

        tuner = Tuner(search={"c": {"low": 1e-3, "high": 1e3, "log": True}}, tune={"trials": 30, "direction": "maximize"})
        for trial in tuner:                       # one at a time, until the trials are used up
            tuner.tell(trial.id, score(**trial.params))
        print(tuner.best())

    With tune.steps above 1 the scheduler sees values on the way: report(id, step, value) returns what is to be done.
    progress: what is chosen, or has no meaning, is said on stderr, as by tune.
    Raises Error with the program's own line. Thread: any, one at a time.
    """

    def __init__(self, config: Configuration = None, /, *, progress: bool | Any = True, **keys: Any) -> None:
        from . import _core

        given = resolve(config, keys)
        self._session = _core.AskTell(given.file, given.json, put_of(progress))
        self.done = False

    def ask(self, count: int = 1) -> list[Suggestion]:
        """Up to `count` new trials. Fewer, also none, where tune.concurrent are under way or the trials are used up; `done` is
        set once no new one will come."""
        answer = self._request({"ask": count})
        self.done = bool(answer.get("done", False))
        return [Suggestion(one["id"], one["params"]) for one in answer["trials"]]

    def report(self, id: int, step: int, value: float) -> list[dict[str, Any]]:
        """A value on the way, after `step` of tune.steps steps. Returns actions: [{"id": 3, "do": "stop"}, ...]."""
        return self.report_round([{"id": id, "step": step, "value": value}])

    def report_round(self, reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Several trials at once, which the scheduler compares as one round."""
        return self._request({"report": [{**one, "value": _finite_or_name(one.get("value"))} for one in reports]})["actions"]

    def tell(self, id: int, value: float | None = None, state: str | None = None) -> list[dict[str, Any]]:
        """A trial has ended: with its value, or as state "failed"."""
        entry: dict[str, Any] = {"id": id}
        if value is not None:
            entry["value"] = _finite_or_name(value)
        if state is not None:
            entry["state"] = state
        return self._request({"tell": [entry]}).get("actions", [])

    def best(self) -> dict[str, Any] | None:
        """{"id", "params", "value"} of the best trial so far."""
        return self._request({"best": 1})["best"]

    def rungs(self) -> dict[str, Any]:
        """At which steps trials are compared: {"rungs": [...]} or {"interval": n}."""
        return self._request({"rungs": 1})

    def save(self, path: str | os.PathLike) -> None:
        """The whole state, which load() of a tuner with the same search goes on from."""
        self._request({"save": os.fspath(path)})

    def load(self, path: str | os.PathLike) -> None:
        self._request({"load": os.fspath(path)})

    def __iter__(self) -> Iterator[Suggestion]:
        while True:
            trials = self.ask(1)
            if not trials:
                return
            yield trials[0]

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            line = json.dumps(request, allow_nan=False, default=_scalar)
        except (TypeError, ValueError) as fault:
            raise Error(str(fault)) from None
        answer = json.loads(self._session.answer(line))
        if "error" in answer:
            raise Error(answer["error"])
        return answer


def _finite_or_name(value: Any) -> Any:
    """JSON has no nan; the tuner knows it by name, and fails the trial."""
    number = value.item() if hasattr(value, "item") else value
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number


def _scalar(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a value is of type {type(value).__name__}; numbers can be given")
