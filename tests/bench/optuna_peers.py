#!/usr/bin/env python3
"""Optuna's samplers and pruners on the functions of `quality_functions`; one JSON object a row, as the quality programs.

    VENV/bin/python tests/bench/optuna_peers.py --functions-program build/quality_functions samplers tpe gp [--seeds 20]
        [--functions branin,mixed] [--trials 100] [--jobs 2] > optuna_samplers.jsonl
    VENV/bin/python tests/bench/optuna_peers.py --functions-program build/quality_functions steps|trials|sequential
        [PRUNER ...] [--sampler random] [--seeds 20] > optuna_schedulers.jsonl

VENV holds optuna, cmaes, scipy and torch. With sampler random trial k of a seed is the same configuration with the same
noise as in `quality_schedulers`. Trials side by side take turns in order of their number: Optuna decides at each report
with what it has seen until then. Settings, regret and the trial called best are those of quality_schedulers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from multiprocessing import Pool

os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna
from optuna.distributions import json_to_distribution
from optuna.pruners import (HyperbandPruner, MedianPruner, NopPruner, PatientPruner, PercentilePruner,
                            SuccessiveHalvingPruner, ThresholdPruner, WilcoxonPruner)
from optuna.samplers import CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

BLACK_BOXES = "branin,hartmann3,hartmann6,ackley5,rosenbrock4,levy4,mixed,jenatton"
CURVES = "mfh3-good,mfh3-terrible,mfh6-good,mfh6-terrible,curve-power,lora"
COLUMNS = (20, 30, 50, 60, 100)

SAMPLERS = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "tpe-mv": lambda seed: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "gp": lambda seed: GPSampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
    "sobol": lambda seed: QMCSampler(seed=seed, scramble=True),
}


def threshold(function: Function) -> ThresholdPruner:
    upper = {"lora": 2.3, "curve-power": 1.0}.get(function.name, -0.2)
    return ThresholdPruner(upper=upper, n_warmup_steps=function.steps // 5 + 1)  # ours judges steps above warmup_steps


PRUNERS = {
    "NopPruner": lambda function: NopPruner(),
    "MedianPruner": lambda function: MedianPruner(),
    "PercentilePruner": lambda function: PercentilePruner(25.0),
    "PatientPruner": lambda function: PatientPruner(None, patience=3),
    "ThresholdPruner": threshold,
    "WilcoxonPruner": lambda function: WilcoxonPruner(),
    "SuccessiveHalvingPruner": lambda function: SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
    "SuccessiveHalvingPruner-3": lambda function: SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "HyperbandPruner": lambda function: HyperbandPruner(min_resource=1, max_resource=function.steps, reduction_factor=3),
}


class Function:
    """One function of quality_functions, asked over a pipe."""

    def __init__(self, program: str, name: str):
        self.process = subprocess.Popen([program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(self.process.stdout.readline())
        self.name, self.steps, self.minimum = told["name"], told["steps"], told["minimum"]
        self.space = [(p["name"], json_to_distribution(p["distribution"]), p["when"]) for p in told["space"]]

    def __call__(self, **request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def suggest(self, trial: optuna.Trial) -> dict:
        params: dict = {}
        for name, distribution, when in self.space:
            if all(params.get(parent) in values for parent, values in when.items()):
                params[name] = trial._suggest(name, distribution)
        return params


def black_box(function: Function, sampler: str, seed: int, count: int) -> tuple[list[float], float]:
    """The regret after each trial, and the seconds spent in Optuna."""
    study = optuna.create_study(study_name=f"{function.name}-{seed}", sampler=SAMPLERS[sampler](seed))
    best, regrets, spent = float("inf"), [], 0.0
    for _ in range(count):
        started = time.perf_counter()
        trial = study.ask()
        params = function.suggest(trial)
        spent += time.perf_counter() - started
        value = function(params=params)["value"]
        started = time.perf_counter()
        study.tell(trial, value)
        spent += time.perf_counter() - started
        best = min(best, value)
        regrets.append(best - function.minimum)
    return regrets, spent


class Run:
    """A trial in training."""

    def __init__(self, study: optuna.Study, function: Function, sampler: str, seed: int):
        self.trial = study.ask()
        request = {"seed": seed, "trial": self.trial.number}
        if sampler != "random":
            request["params"] = function.suggest(self.trial)
        told = function(**request)
        self.curve, self.final = told["curve"], told["value"]
        self.step, self.failed = 0, False

    def advance(self, study: optuna.Study) -> bool:
        """One step; says whether the trial goes on."""
        value = self.curve[self.step]
        self.step += 1
        if value is None:
            self.failed = True
            study.tell(self.trial, state=TrialState.FAIL)
            return False
        self.trial.report(value, self.step)
        if self.step == len(self.curve):
            study.tell(self.trial, value)
        elif self.trial.should_prune():
            study.tell(self.trial, state=TrialState.PRUNED)
        else:
            return True
        return False


def regret_of(runs: list[Run], function: Function) -> float | None:
    """Of the trial that went furthest; of these the best by its last value."""
    healthy = [run for run in runs if not run.failed and run.step > 0]
    if not healthy:
        return None
    best = min(healthy, key=lambda run: (-run.step, run.curve[run.step - 1], run.trial.number))
    return best.final - function.minimum


def curve_study(function: Function, setting: str, sampler: str, pruner: str, seed: int) -> dict:
    study = optuna.create_study(study_name=f"{function.name}-{seed}", sampler=SAMPLERS[sampler](seed),
                                pruner=PRUNERS[pruner](function))
    concurrent = 1 if setting == "sequential" else 8
    most_trials = 100 if setting == "trials" else 1_000_000
    most_steps = {"steps": 20 * function.steps, "trials": 100 * function.steps, "sequential": 4000}[setting]
    runs: list[Run] = []
    live: list[Run] = []
    steps, half = 0, None
    while steps < most_steps:
        while len(live) < concurrent and len(runs) < most_trials:
            runs.append(Run(study, function, sampler, seed))
            live.append(runs[-1])
        if not live:
            break
        steps += len(live)
        live = [run for run in live if run.advance(study)]
        if half is None and 2 * steps >= most_steps:
            half = regret_of(runs, function)
    whole = regret_of(runs, function)
    return {"half": whole if half is None else half, "regret": whole, "trials": len(runs), "steps": steps}


def one(job: tuple) -> object:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    program, name, setting, sampler, pruner, seed, trials = job
    function = Function(program, name)
    try:
        if setting == "samplers":
            return black_box(function, sampler, seed, trials)
        return curve_study(function, setting, sampler, pruner, seed)
    finally:
        function.close()


def row_of(job: tuple, results: list, trials: int) -> dict:
    program = f"optuna {optuna.__version__}"
    _, name, setting, sampler, pruner, _, _ = job
    if setting == "samplers":
        regret = {str(n): [r[n - 1] for r, _ in results] for n in COLUMNS if n <= trials}
        return {"program": program, "function": name, "sampler": sampler, "regret": regret,
                "ask_seconds": sum(s for _, s in results) / len(results) / trials}
    columns = {key: [r[key] for r in results] for key in ("half", "regret", "trials", "steps")}
    return {"program": program, "setting": setting, "function": name, "sampler": sampler, "scheduler": pruner, **columns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=("samplers", "steps", "trials", "sequential"))
    parser.add_argument("names", nargs="*", help=f"samplers or pruners of {', '.join([*SAMPLERS, *PRUNERS])}")
    parser.add_argument("--functions-program", required=True)
    parser.add_argument("--functions")
    parser.add_argument("--sampler", default="random", choices=SAMPLERS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=100, help="of a black box")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    black = args.setting == "samplers"
    names = args.names or list(SAMPLERS if black else PRUNERS)
    functions = (args.functions or (BLACK_BOXES if black else CURVES)).split(",")
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    jobs = [(args.functions_program, function, args.setting, name if black else args.sampler, name, seed, args.trials)
            for function in functions for name in names for seed in seeds]
    with Pool(args.jobs) as pool:
        results: list = []
        for job, result in zip(jobs, pool.imap(one, jobs)):
            results.append(result)
            if len(results) == args.seeds:
                print(json.dumps(row_of(job, results, args.trials)), flush=True)
                results = []


if __name__ == "__main__":
    main()
