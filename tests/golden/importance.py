"""Golden values of Optuna 4.9.0's importance evaluators for test_importance.cpp: importance.json beside this file.

    pip install optuna==4.9.0 scikit-learn && python tests/golden/importance.py

PED-ANOVA knows no chance. fANOVA's forest does: of it the mean and the spread over ten seeds.
"""

import json
import math
import pathlib
import random
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def axis_of(distribution) -> dict:
    if isinstance(distribution, CategoricalDistribution):
        return {"choices": len(distribution.choices)}
    axis = {"low": distribution.low, "high": distribution.high, "log": distribution.log}
    if isinstance(distribution, IntDistribution):
        axis["integer"] = True
    if distribution.step is not None:
        axis["step"] = distribution.step
    return axis


def draw(distribution, chance):
    if isinstance(distribution, CategoricalDistribution):
        return chance.choice(distribution.choices)
    if isinstance(distribution, IntDistribution):
        if distribution.log:
            return min(distribution.high, max(distribution.low, round(math.exp(
                chance.uniform(math.log(distribution.low), math.log(distribution.high))))))
        return distribution.low + distribution.step * chance.randrange((distribution.high - distribution.low) // distribution.step + 1)
    if distribution.log:
        return math.exp(chance.uniform(math.log(distribution.low), math.log(distribution.high)))
    if distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return round(distribution.low + distribution.step * chance.randrange(count), 10)
    return chance.uniform(distribution.low, distribution.high)


def study_of(name, space, objective, trials, seed, conditions=None, maximize=False, fanova=True):
    chance = random.Random(seed)
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    points = []
    for _ in range(trials):
        params = {}
        for key, distribution in space.items():
            if conditions and key in conditions and not conditions[key](params):
                continue
            params[key] = draw(distribution, chance)
        value = objective(params, chance)
        used = {key: space[key] for key in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=used, value=value))
        points.append(({key: used[key].to_internal_repr(params[key]) for key in params}, value))
    ped = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), normalize=False)
    for key in conditions or {}:  # over the trials that have it
        ped.update(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), params=[key], normalize=False))
    made = {"name": name, "maximize": maximize, "axes": {key: axis_of(d) for key, d in space.items()},
            "trials": [{"params": params, "value": value} for params, value in points], "ped_anova": ped}
    if fanova:
        seeds = [get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=s), normalize=False) for s in range(10)]
        made["fanova"] = {key: [run[key] for run in seeds] for key in seeds[0]}
    return made


F, I, C = FloatDistribution, IntDistribution, CategoricalDistribution
STUDIES = [
    study_of("ranges", {"x": F(-1, 1), "y": F(0, 3), "z": F(0, 1)},
             lambda p, r: p["x"] ** 2 + 0.3 * p["y"] + 0.01 * r.gauss(0, 1), 120, 1),
    study_of("tuning", {"rate": F(2e-5, 2e-3, log=True), "rank": C([8, 16, 32, 64]), "batch": I(4, 64, log=True),
                        "dropout": F(0, 0.3, step=0.05), "warmup": I(0, 100, step=10), "one": I(3, 3)},
             lambda p, r: (math.log10(p["rate"]) + 3.6) ** 2 + 0.1 * abs(p["rank"] - 32) / 32 + 0.05 * r.gauss(0, 1),
             90, 2, fanova=False),
    study_of("conditional", {"schedule": C(["linear", "cosine", "wsd"]), "rate": F(1e-5, 1e-2, log=True), "decay": F(0, 0.5)},
             lambda p, r: abs(math.log10(p["rate"]) + 3) + 2 * p.get("decay", 0.1) + 0.02 * r.gauss(0, 1), 80, 3,
             conditions={"decay": lambda p: p["schedule"] == "wsd"}, fanova=False),
    study_of("maximized", {"x": F(0, 1), "n": I(1, 200), "c": C(list("abcdef"))},
             lambda p, r: -(p["x"] - 0.2) ** 2 + (p["c"] == "b") * 0.5 + p["n"] / 1000, 60, 4, maximize=True, fanova=False),
    study_of("few", {"x": F(0, 1), "y": F(0, 1)}, lambda p, r: p["x"], 5, 5, fanova=False),
    study_of("ties", {"x": F(0, 1), "c": C([True, False])}, lambda p, r: float(p["c"]), 40, 6, fanova=False),
    study_of("product", {"x": F(-1, 1), "y": F(-1, 1), "z": F(-1, 1)},
             lambda p, r: 2 * p["x"] + p["x"] * p["y"] + 0.5 * p["z"], 200, 7),
    study_of("many ints", {"n": I(0, 9), "m": I(1, 1000, log=True), "x": F(0, 1)},
             lambda p, r: (p["n"] - 4) ** 2 + p["x"], 150, 8, fanova=False),
]

if __name__ == "__main__":
    where = pathlib.Path(__file__).with_name("importance.json")
    where.write_text("{\"optuna\": \"" + optuna.__version__ + "\", \"studies\": [\n" +
                     ",\n".join(json.dumps(made) for made in STUDIES) + "\n]}\n")
