"""Makes cma_es.json: the update, the margin and the warm start of the cmaes package (0.13.0), for given points.

    pip install cmaes==0.13.0 scipy && python cma_es.py

Ranks, not values, move the distribution, so a case is a start and points best first. Points are draws of the package
itself; the margin's cells are those of equally spaced values in the unit interval.
"""
import json
import pathlib

import numpy as np
from cmaes import CMA, CMAwM, get_warm_start_mgd


def bowl(x):
    return sum(10.0**i * (v - 0.3 - 0.1 * i) ** 2 for i, v in enumerate(x))


def state(cma):
    return {"mean": cma._mean.tolist(), "sigma": cma._sigma, "covariance": cma._C.ravel().tolist(),
            "path_sigma": cma._p_sigma.tolist(), "path_c": cma._pc.tolist()}


def plain(dimensions, population, generations, seed):
    cma = CMA(mean=np.full(dimensions, 0.5), sigma=1 / 6, bounds=np.array([[0.0, 1.0]] * dimensions), seed=seed,
              population_size=population)
    played = []
    for _ in range(generations):
        points = sorted((cma.ask() for _ in range(population)), key=bowl)
        cma.tell([(x, float(k)) for k, x in enumerate(points)])
        played.append([x.tolist() for x in points])
    cma._eigen_decomposition()
    return {"population": population, "generations": played, "after": state(cma)}


def with_margin(counts, sigma, population, generations, seed):
    """`counts`: values of each discrete coordinate, 0 for a continuous one."""
    ends = np.array([[0.0, 1.0] if n == 0 else [0.5 / n, 1 - 0.5 / n] for n in counts])
    cma = CMAwM(mean=np.full(len(counts), 0.45), sigma=sigma, bounds=ends,
                steps=np.array([1.0 / n if n else 0.0 for n in counts]), seed=seed, population_size=population)
    played = []
    for _ in range(generations):
        points = sorted((cma.ask() for _ in range(population)), key=lambda p: bowl(p[0]))
        cma.tell([(raw, float(k)) for k, (_, raw) in enumerate(points)])
        played.append([raw.tolist() for _, raw in points])
    return {"counts": counts, "start": 0.45, "sigma": sigma, "population": population, "generations": played,
            "after": state(cma._cma), "scale": cma._A.tolist()}


def warm(dimensions, count, seed):
    points = sorted(np.random.RandomState(seed).rand(count, dimensions), key=bowl)
    mean, sigma, cov = get_warm_start_mgd([(x, float(k)) for k, x in enumerate(points)])
    return {"points": [x.tolist() for x in points], "mean": mean.tolist(), "sigma": sigma,
            "covariance": cov.ravel().tolist()}


golden = {"plain": [plain(1, 4, 3, 0), plain(3, 7, 6, 1), plain(5, 9, 20, 2)],
          "margin": [with_margin([2, 0, 5, 12], sigma, 8, generations, 3)
                     for sigma, generations in ((0.02, 1), (0.02, 2), (0.03, 5), (0.03, 12))],
          "warm": [warm(2, 10, 4), warm(4, 57, 5)]}
pathlib.Path(__file__).with_name("cma_es.json").write_text(json.dumps(golden) + "\n")
