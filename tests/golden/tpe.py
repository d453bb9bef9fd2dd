"""TPE's estimator, splits and acquisition as Optuna computes them, for tests/tuners/test_tpe.cpp.

    python tpe.py        # optuna 4.9.0; writes tpe.json beside this file

Random numbers play no part: estimators are fitted to given observations, splits made of given trials and the
acquisition evaluated at given points. Observations that tie are taken oldest first: which of them gets the wider kernel
is left to numpy's default sort in Optuna, and differs from machine to machine.
"""

import functools
import json
import math
import random
import warnings
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import TPESampler, _split_trials, default_gamma, default_weights
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace
from optuna.trial import TrialState, create_trial

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
np.argsort = functools.partial(np.argsort, kind="stable")


def distribution(axis: dict):
    if "choices" in axis:
        return CategoricalDistribution(axis["choices"])
    kind = IntDistribution if axis.get("int") else FloatDistribution
    step = axis.get("step", 1 if axis.get("int") else None)
    return kind(axis["low"], axis["high"], log=axis.get("log", False), step=step)


def estimator(axes: dict, observed: dict, multivariate: bool) -> _ParzenEstimator:
    parameters = _ParzenEstimatorParameters(1.0, True, False, default_weights, multivariate, {})
    columns = {name: np.asarray(observed[name], dtype=float) for name in axes}
    return _ParzenEstimator(columns, {name: distribution(axis) for name, axis in axes.items()}, parameters)


def kernels(one) -> dict:
    if hasattr(one, "weights"):
        return {"rows": one.weights.tolist()}
    return {"centre": one.mu.tolist(), "sigma": one.sigma.tolist()}


def parzen_case(name: str, axes: dict, observed: dict, points: dict) -> dict:
    case = {"name": name, "axes": axes, "observed": observed, "points": points}
    for rule, multivariate in (("neighbours", False), ("dimensions", True)):
        fitted = estimator(axes, observed, multivariate)
        mixture = fitted._mixture_distribution
        columns = {key: np.asarray(column, dtype=float) for key, column in points.items()}
        case[rule] = {"weight": mixture.weights.tolist(), "kernels": [kernels(d) for d in mixture.distributions],
                      "log_density": fitted.log_pdf(columns).tolist()}
    return case


def value_on(axis: dict, rng: random.Random):
    """An internal value: a number, or the index of a choice."""
    if "choices" in axis:
        return rng.randrange(len(axis["choices"]))
    low, high = axis["low"], axis["high"]
    x = math.exp(rng.uniform(math.log(low), math.log(high))) if axis.get("log") else rng.uniform(low, high)
    step = axis.get("step", 1 if axis.get("int") else None)
    if step is None:
        return x
    x = low + min(round((x - low) / step), math.floor((high - low) / step + 1e-9)) * step
    return int(x) if axis.get("int") else x


AXES = {
    "real": {"low": -2.0, "high": 3.0},
    "log": {"low": 1e-6, "high": 1e-2, "log": True},
    "whole": {"low": 1, "high": 10, "int": True},
    "even": {"low": 2, "high": 31, "int": True, "step": 3},
    "log_whole": {"low": 1, "high": 128, "int": True, "log": True},
    "stepped": {"low": 0.0, "high": 0.55, "step": 0.1},
    "choice": {"choices": ["a", "b", "c"]},
}


def parzen_cases() -> list:
    rng = random.Random(1)
    cases = []
    for name, axis in AXES.items():
        for n in (0, 1, 2, 6, 40):
            observed = [value_on(axis, rng) for _ in range(n)]
            cases.append(parzen_case(f"{name} {n}", {name: axis}, {name: observed},
                                     {name: [value_on(axis, rng) for _ in range(4)]}))
    for n in (0, 3, 30):
        cases.append(parzen_case(f"all {n}", AXES, {k: [value_on(a, rng) for _ in range(n)] for k, a in AXES.items()},
                                 {k: [value_on(a, rng) for _ in range(6)] for k, a in AXES.items()}))
    ends = {"x": {"low": 0.0, "high": 1.0}}
    cases.append(parzen_case("ties and ends", ends, {"x": [0.0, 0.5, 0.5, 1.0, 1.0, 0.0]}, {"x": [0.0, 0.5, 1.0]}))
    return cases


STATES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL,
          "running": TrialState.RUNNING}
TREE = AXES | {"deep": {"low": 0.0, "high": 1.0}, "deeper": {"low": 1e-3, "high": 1.0, "log": True}}


def made_trial(rng: random.Random, state: str) -> dict:
    """A trial as the test reads it. `deep` exists under choices a and b, `deeper` beside it under b."""
    params = {name: value_on(axis, rng) for name, axis in AXES.items()}
    if params["choice"] < 2:
        params["deep"] = value_on(TREE["deep"], rng)
    if params["choice"] == 1:
        params["deeper"] = value_on(TREE["deeper"], rng)
    values = [[step, round(rng.uniform(0, 1), 2)] for step in range(1, rng.choice([0, 1, 3]) + 1)]
    if state == "completed":
        values = [[4, round(rng.uniform(0, 1), 2)]]
    return {"state": state, "params": params, "values": values}


def as_optuna(trial: dict):
    outer = {name: TREE[name]["choices"][x] if "choices" in TREE[name] else x for name, x in trial["params"].items()}
    value = trial["values"][-1][1] if trial["state"] == "completed" else None
    return create_trial(state=STATES[trial["state"]], value=value,
                        params=outer, distributions={name: distribution(TREE[name]) for name in outer},
                        intermediate_values={step: value for step, value in trial["values"]})


def study_case(count: int, share_completed: float, seed: int, options: dict) -> dict:
    rng = random.Random(seed)
    states = ["completed" if rng.random() < share_completed else rng.choice(["stopped", "failed", "running"])
              for _ in range(count)]
    trials = [made_trial(rng, state) for state in states]
    sampler = TPESampler(**options)
    study = optuna.create_study(sampler=sampler)
    study.add_trials([as_optuna(trial) for trial in trials])
    wanted = [TrialState.COMPLETE, TrialState.PRUNED] + ([TrialState.RUNNING] if options["constant_liar"] else [])
    known = study.get_trials(deepcopy=False, states=wanted)
    n = sum(t.state != TrialState.RUNNING for t in known)
    good, bad = _split_trials(study, known, default_gamma(n), False)
    groups = groups_of(study, sampler, options)
    return {"options": options, "trials": trials, "good": [t.number for t in good], "bad": [t.number for t in bad],
            "groups": [acquisition(study, sampler, group, good, bad, rng) for group in groups]}


def groups_of(study, sampler, options: dict) -> list:
    if not options["multivariate"]:
        return [[name] for name in TREE]
    if options["group"]:
        return [sorted(space) for space in _GroupDecomposedSearchSpace(True).calculate(study).search_spaces]
    return [list(sampler.infer_relative_search_space(study, None))]


def acquisition(study, sampler, group: list, good: list, bad: list, rng: random.Random) -> dict:
    space = {name: distribution(TREE[name]) for name in group}
    below = sampler._build_parzen_estimator(study, space, good, handle_below=True)
    above = sampler._build_parzen_estimator(study, space, bad, handle_below=False)
    points = {name: [value_on(TREE[name], rng) for _ in range(3)] for name in group}
    columns = {name: np.asarray(column, dtype=float) for name, column in points.items()}
    return {"names": group, "points": points,
            "acquisition": sampler._compute_acquisition_func(columns, below, above).tolist()}


def study_cases() -> list:
    cases = []
    modes = [(False, False, False), (True, False, False), (True, False, True), (True, True, False), (True, True, True)]
    for index, mode in enumerate(modes):
        options = dict(zip(("multivariate", "group", "constant_liar"), mode))
        cases += [study_case(30, 0.6, 10 + index, options), study_case(12, 0.0, 20 + index, options)]
    cases.append(study_case(60, 0.9, 30, {"multivariate": False, "group": False, "constant_liar": False}))
    return cases


def tail_cases() -> list:
    cases = []
    for a, b in [(-1, 2), (-30, -25), (5, 8), (-0.3, 0.2), (-40, -39.9), (-6, 30), (0, 1), (21, 22), (-19.5, -19),
                 (3, 3.1)]:
        a, b = float(a), float(b)
        q = [0.001, 0.1, 0.5, 0.9, 0.999]
        cases.append({"a": a, "b": b, "log_mass": float(_truncnorm._log_gauss_mass(np.array([a]), np.array([b]))[0]),
                      "q": q, "quantile": _truncnorm.ppf(np.array(q), np.full(5, a), np.full(5, b)).tolist()})
    return cases


def main() -> None:
    counts = [0, 1, 9, 10, 11, 25, 100, 241, 250, 1000]
    golden = {"versions": {"optuna": optuna.__version__},
              "good_count": [[n, default_gamma(n)] for n in counts],
              "age_weights": [default_weights(n).tolist() for n in (0, 1, 24, 25, 26, 27, 40)],
              "tails": tail_cases(), "parzen": parzen_cases(), "space": TREE, "studies": study_cases()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
