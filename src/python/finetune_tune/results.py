"""What runs leave, as dataclasses."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Trial:
    """One configuration of a study.

    metric: its best evaluation of the study's metric, after `step` optimizer steps; None where it was not evaluated.
    steps: optimizer steps trained. state: completed, stopped, failed, paused or running; reason: why it was stopped or failed.
    """

    id: int
    params: dict[str, Any]
    state: str
    metric: float | None
    step: int
    steps: int
    reason: str = ""


@dataclass(frozen=True)
class Plot:
    """A section of the report as a page of its own: a notebook shows it, save(path) writes it."""

    page: str
    height: int = 480

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.page, quote=True)}" style="width:100%;height:{self.height}px;border:0"></iframe>'

    def save(self, path: str | Path) -> Path:
        target = Path(path)
        target.write_text(self.page, encoding="utf-8")
        return target


@dataclass(frozen=True)
class Study:
    """A search that has ended.

    best: the best trial, None where none was evaluated. runs: all trials by id. out: the run's folder; the best weights lie in
    out / "best" (a PEFT adapter, or a checkpoint where train.method was full), the configuration that makes them again in
    out / "best.yaml". report: everything that report.json holds.
    """

    best: Trial | None
    runs: list[Trial]
    out: Path
    metric: str
    direction: str
    interrupted: bool
    report: dict[str, Any] = field(repr=False)

    @property
    def trials(self) -> pandas.DataFrame | list[Trial]:
        """A row a trial, as a DataFrame where pandas is installed: id, state, metric, step, steps, reason and a column for
        each parameter. Else the list `runs`."""
        try:
            import pandas
        except ImportError:
            return self.runs
        rows = []
        for trial in self.runs:
            row = {name: getattr(trial, name) for name in ("id", "state", "metric", "step", "steps", "reason")}
            rows.append({**row, **trial.params})
        return pandas.DataFrame(rows)

    @property
    def adapter(self) -> Path | None:
        """The folder of the best weights; None where there are none."""
        folder = self.out / "best"
        return folder if folder.is_dir() else None

    def plot(self, section: str = "curves") -> Plot:
        """A section of the report: curves, slices, importance, interactions, timeline, population, trials, ... Raises Error
        for one that there is not, or of which this study has nothing to say."""
        from . import _core

        return Plot(_core.report_page(str(self.out), section))

    def __str__(self) -> str:
        from . import _core

        return _core.report_text(str(self.out)).rstrip("\n")


@dataclass(frozen=True)
class Run:
    """One configuration that was trained.

    out: the run's folder. weights: a PEFT adapter in it, or a checkpoint where train.method was full. steps, tokens: trained.
    train_loss: of the last step. values: the metrics at the end, by name; best: the best value of tune.metric and its step.
    """

    out: Path
    weights: Path
    steps: int
    tokens: int
    train_loss: float
    values: dict[str, float]
    best: tuple[float, int] | None = None
    interrupted: bool = False


@dataclass(frozen=True)
class Check:
    """What `check` found: `text` for people, `found` as values (examples, tokens, memory_bytes, seconds, ...)."""

    text: str = field(repr=False)
    found: dict[str, Any]

    def __str__(self) -> str:
        return self.text.rstrip("\n")


@dataclass(frozen=True)
class Completion:
    """The continuation of a prompt. tokens: generated ones; ended: by an end token or a stop text."""

    prompt: str
    text: str
    tokens: int
    ended: bool


def number(value: Any) -> Any:
    """Numbers that are not finite are texts in JSON."""
    return float(value) if value in ("nan", "inf", "-inf") else value


def study_from(text: str, out: str) -> Study:
    """Of what `tune --json` prints."""
    report = json.loads(text)
    runs = [
        Trial(
            id=one["id"],
            params=one["params"],
            state=one["state"],
            metric=number(one.get("metric")),
            step=one.get("step") or 0,
            steps=one.get("steps") or 0,
            reason=one.get("reason", ""),
        )
        for one in report["trials"]
    ]
    by_id = {trial.id: trial for trial in runs}
    facts = report["study"]
    best = report.get("best")
    return Study(
        best=by_id[best["trial"]] if best else None,
        runs=runs,
        out=Path(out).absolute(),
        metric=facts["metric"],
        direction=facts["direction"],
        interrupted=facts["interrupted"],
        report=report,
    )


def run_from(text: str, out: str, interrupted: bool) -> Run:
    """Of what `train --json` prints."""
    result = json.loads(text)
    best = result.pop("best", None)
    known = {name: result.pop(name) for name in ("out", "steps", "tokens", "train_loss")}
    return Run(
        out=Path(out).absolute(),
        weights=Path(known["out"]).absolute(),
        steps=known["steps"],
        tokens=known["tokens"],
        train_loss=number(known["train_loss"]),
        values={name: number(value) for name, value in result.items()},
        best=(number(best["metric"]), best["step"]) if best else None,
        interrupted=interrupted,
    )
