"""Golden values of Optuna 4.9.0's Gaussian process for test_gp.cpp: gp.json beside this file.

    pip install optuna==4.9.0 scipy torch && python tests/golden/gp.py
"""

import json
import pathlib

import numpy as np
import torch
from optuna._gp.acqf import logei
from optuna._gp.gp import GPRegressor
from optuna._gp.prior import default_log_prior

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(5)


def tensor(x):
    return torch.tensor(x, dtype=torch.float64)


# Three numbers and a category of three choices; seven observations.
x = rng.uniform(size=(7, 4))
x[:, 3] = [0, 1, 2, 0, 1, 2, 0]
y = rng.normal(size=7)
y = (y - y.mean()) / y.std()
categorical = torch.tensor([False, False, False, True])
weights, scale, noise = [2.0, 0.5, 1.25, 0.75], 1.5, 0.02


def regressor(w, s, n):
    return GPRegressor(categorical, tensor(x), tensor(y), w, s, n)


logs = torch.log(tensor([*weights, scale, noise - 1e-6])).requires_grad_(True)
process = regressor(torch.exp(logs[:4]), torch.exp(logs[4]), torch.exp(logs[5]) + 1e-6)
loss = -process.marginal_log_likelihood() - default_log_prior(process)
loss.backward()

process = regressor(tensor(weights), tensor(scale), tensor(noise))
kernel = process.kernel()
process._cache_matrix()
at = rng.uniform(size=(3, 4))
at[:, 3] = [1, 0, 2]
points = tensor(at).requires_grad_(True)
mean, variance = process.posterior(points)
mean_values, variance_values = mean.tolist(), variance.tolist()  # logei changes the variance in place
best = float(y.max())
values = logei(mean=mean, var=variance + 1e-12, f0=best)
values.sum().backward()

golden = {
    "optuna": "4.9.0",
    "x": x.tolist(),
    "y": y.tolist(),
    "weights": weights,
    "scale": scale,
    "noise": noise,
    "kernel": kernel.tolist(),
    "loss": loss.item(),
    "loss_gradient": logs.grad.tolist(),
    "at": at.tolist(),
    "mean": mean_values,
    "variance": variance_values,
    "best": best,
    "log_ei": values.tolist(),
    "log_ei_gradient": points.grad.tolist(),
}
pathlib.Path(__file__).with_name("gp.json").write_text(json.dumps(golden, indent=1) + "\n")
