#!/usr/bin/env python3
"""The numbers of NePS that tests/tuners/test_priorband.cpp holds against ours; prints them.

    VENV/bin/python tests/golden/priorband.py        # pip install neural-pipeline-search==0.17.0
"""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore")

import neps.space.parameters as space  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from neps.optimizers.priorband import PriorBandSampler  # noqa: E402
from neps.optimizers.utils.brackets import calculate_sh_rungs  # noqa: E402
from neps.sampling import Prior  # noqa: E402
from neps.sampling.distributions import TruncatedNormal  # noqa: E402
from neps.space import ConfigEncoder  # noqa: E402

# In the order of the encoder's columns, numbers by name and then choices: a Prior has the order of its parameters.
PARAMETERS = {
    "free": space.HPOFloat(-2.0, 2.0, prior_confidence="high"),
    "rate": space.HPOFloat(1e-5, 1e-1, log=True, prior=1e-3, prior_confidence="high"),
    "x": space.HPOFloat(0.0, 1.0, prior=0.3, prior_confidence="high"),
    "kind": space.HPOCategorical(["a", "b", "c"], prior="b", prior_confidence="high"),
}
ENCODER = ConfigEncoder.from_parameters(PARAMETERS)


def config(k: int) -> dict:
    return {"free": -2 + k / 3, "rate": 10 ** (-5 + k / 3), "x": k / 12, "kind": "abc"[k % 3]}


def shown(values) -> str:
    return " ".join(f"{float(value):.12g}" for value in values)


def densities() -> None:
    for name, centre in (("prior", None), ("incumbent", config(7))):
        prior = Prior.from_parameters(PARAMETERS, center_values=centre)
        print("log density by", name, shown(prior.log_pdf(ENCODER.encode([config(k) for k in (0, 4, 7, 11)]), frm=ENCODER)))


def quantiles() -> None:
    real = lambda value: torch.tensor(value, dtype=torch.float64)  # noqa: E731
    for centre in (7 / 12, 0.3, 0.05):
        normal = TruncatedNormal(loc=real(centre), scale=real(0.25), a=real(0.0), b=real(1.0))
        print("quantiles around", centre, shown(normal.icdf(real(u)) for u in (0.05, 0.3, 0.5, 0.8, 0.99)))


def bracket_costs() -> None:
    for bounds, eta in (((1, 81), 3), ((1, 9), 3), ((3, 81), 3), ((10, 100), 3), ((2, 100), 3), ((1, 64), 4)):
        steps, sizes = calculate_sh_rungs(bounds=bounds, eta=eta, early_stopping_rate=0)
        print("bracket", bounds, eta, sum(sizes[r] * (steps[r] - steps.get(r - 1, 0)) for r in sizes))


def trials() -> pd.DataFrame:
    """Twelve at rung 0, six of them at rung 1 (best first), two at rung 2."""
    rows = [(k, 0, 1 + 0.01 * k) for k in range(12)]
    rows += [(k, 1, 0.51 + 0.01 * i) for i, k in enumerate((4, 7, 2, 9, 5, 0))]
    rows += [(7, 2, 0.20), (4, 2, 0.25)]
    configs = np.empty(len(rows), dtype=object)
    for i, (k, _, _) in enumerate(rows):
        configs[i] = config(k)
    index = pd.MultiIndex.from_tuples([(k, rung) for k, rung, _ in rows], names=["id", "rung"])
    return pd.DataFrame({"config": configs, "perf": [value for *_, value in rows]}, index=index).sort_index()


def shares() -> None:
    choice = np.random.choice
    sampler = PriorBandSampler(parameters=PARAMETERS, encoder=ENCODER, mutation_rate=0.5, mutation_std=0.25, eta=3,
                               early_stopping_rate=0, fid_bounds=(1, 9))
    for rung in range(3):
        def listening(names, p, rung=rung):
            print("rung", rung, *names, shown(p))
            return choice(names, p=p)
        np.random.choice = listening
        sampler.sample_config(trials(), rung)
    np.random.choice = choice


if __name__ == "__main__":
    densities()
    quantiles()
    bracket_costs()
    shares()
