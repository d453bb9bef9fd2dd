#!/usr/bin/env python3
"""Drives two training processes at a time through `finetune_tune asktell`: the standard library alone.

    python3 asktell_processes.py build/finetune_tune

Each trial is a process of its own (here: gradient descent on a noisy bowl, `--worker`), which prints its loss after
every step and waits for a line before the next one. So the tuner can stop a trial between any two steps, and its
process ends there.
"""

import json
import math
import random
import subprocess
import sys
import tempfile

CONFIG = """
search:
  learning_rate: {low: 1.0e-3, high: 2.0, log: true}
  momentum: {choices: [0.0, 0.5, 0.9]}
tune:
  trials: 16
  steps: 27
  concurrent: 2
  sampler: {name: random}
  scheduler: {name: asha, min_steps: 3, reduction_factor: 3}
"""


def worker(params):
    """Trains: one step per line on stdin, its loss on stdout."""
    draw = random.Random(0)
    weights, speed = [3.0, -2.0], [0.0, 0.0]
    for _ in sys.stdin:
        for i, curvature in enumerate((1.0, 0.05)):
            gradient = curvature * weights[i] + draw.gauss(0, 0.01)
            speed[i] = params["momentum"] * speed[i] - params["learning_rate"] * gradient
            weights[i] += speed[i]
        print(0.5 * (weights[0] ** 2 + 0.05 * weights[1] ** 2), flush=True)


class Trial:
    """A training process and how far it is."""

    def __init__(self, trial):
        self.id, self.params, self.steps = trial["id"], trial["params"], 0
        command = [sys.executable, __file__, "--worker", json.dumps(self.params)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start_step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()

    def finish_step(self):
        loss = float(self.process.stdout.readline())
        self.steps += 1
        return {"id": self.id, "step": self.steps, "value": loss if math.isfinite(loss) else str(loss)}

    def end(self):
        self.process.communicate()


def main(program):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(CONFIG)
        file.flush()
        tuner = subprocess.Popen(
            [program, "asktell", "--config", file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def request(**message):
            tuner.stdin.write(json.dumps(message) + "\n")
            tuner.stdin.flush()
            answer = json.loads(tuner.stdout.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer

        running, total, stopped, done = {}, 0, 0, False
        while True:
            if not done and len(running) < 2:
                answer = request(ask=2 - len(running))
                running.update({trial["id"]: Trial(trial) for trial in answer["trials"]})
                done = answer.get("done", False)
            if not running:
                break
            for trial in running.values():  # both processes work on their step at the same time
                trial.start_step()
            reports = [trial.finish_step() for trial in running.values()]
            total += len(reports)
            for action in request(report=reports)["actions"]:
                if action["do"] == "stop":
                    running.pop(action["id"]).end()
                    stopped += 1
            for trial in [t for t in running.values() if t.steps == 27]:  # complete without a stop
                running.pop(trial.id).end()
        best = request(best=1)["best"]
        tuner.stdin.close()
        print(f"16 trials, {stopped} stopped early: {total} of {16 * 27} steps")
        print(f"best loss {best['value']:.5f} with {best['params']}")
        return tuner.wait()


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(json.loads(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1]))
