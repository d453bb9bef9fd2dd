#!/usr/bin/env python3
"""Tunes a Python function through `finetune_tune asktell`: the standard library alone.

    python3 asktell_function.py build/finetune_tune

The function is a small ridge regression, fitted and scored by cross-validation as one would do with scikit-learn: it
takes hyperparameters and gives back an error. The program proposes them and is told the error.
"""

import json
import math
import random
import subprocess
import sys
import tempfile

CONFIG = """
search:
  alpha: {low: 1.0e-4, high: 1.0e2, log: true}
  degree: {low: 1, high: 8, int: true}
tune:
  trials: 40
  seed: 1
  sampler: {name: random}
  scheduler: {name: none}
"""


class Tuner:
    """One running asktell process: each request is a line, and so is each answer."""

    def __init__(self, program, config):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.file.write(config)
        self.file.flush()
        command = [program, "asktell", "--config", self.file.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def request(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.file.close()
        return self.process.wait()


def solve(matrix, right):
    """Gaussian elimination with pivoting."""
    n = len(right)
    rows = [row[:] + [value] for row, value in zip(matrix, right)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(i + 1, n):
            factor = rows[r][i] / rows[i][i]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    solution = [0.0] * n
    for i in reversed(range(n)):
        solution[i] = (rows[i][n] - sum(rows[i][k] * solution[k] for k in range(i + 1, n))) / rows[i][i]
    return solution


def ridge(points, alpha, degree):
    """Weights of a polynomial of this degree, all but the constant shrunk by alpha."""
    powers = [[x**k for k in range(degree + 1)] for x, _ in points]
    gram = [[sum(p[i] * p[j] for p in powers) for j in range(degree + 1)] for i in range(degree + 1)]
    for i in range(1, degree + 1):
        gram[i][i] += alpha
    return solve(gram, [sum(p[i] * y for p, (_, y) in zip(powers, points)) for i in range(degree + 1)])


def cross_validation_error(points, alpha, degree, folds=5):
    total = 0.0
    for fold in range(folds):
        weights = ridge([p for i, p in enumerate(points) if i % folds != fold], alpha, degree)
        for x, y in points[fold::folds]:
            total += (sum(w * x**k for k, w in enumerate(weights)) - y) ** 2
    return math.sqrt(total / len(points))


def main():
    draw = random.Random(0)
    xs = [draw.uniform(-1, 1) for _ in range(60)]
    points = [(x, math.sin(3 * x) + draw.gauss(0, 0.1)) for x in xs]
    tuner = Tuner(sys.argv[1], CONFIG)
    while True:
        answer = tuner.request(ask=1)
        if answer.get("done"):
            break
        for trial in answer["trials"]:
            error = cross_validation_error(points, **trial["params"])
            value = error if math.isfinite(error) else str(error)  # JSON has no nan: a word stands for it
            tuner.request(tell=[{"id": trial["id"], "value": value}])
    best = tuner.request(best=1)["best"]
    print(f"best of 40: error {best['value']:.4f} with {best['params']}")
    return tuner.close()


if __name__ == "__main__":
    sys.exit(main())
