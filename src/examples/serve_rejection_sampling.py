#!/usr/bin/env python3
"""Rejection-sampling fine-tuning through `finetune_tune serve`: the standard library alone.

    python3 serve_rejection_sampling.py build/finetune_tune MODEL [--accept REGEX] [--rounds N]

Each round a slot writes several texts for each prompt, those that a reward accepts become training data, and the slot
learns them with AdamW. Prints the share of texts that was accepted in each round. The reward here is a regular
expression that has to match somewhere in the text: by itself, that it is one sentence.
"""

import argparse
import json
import re
import subprocess

PROMPTS = ["the sea is", "my friend says that", "in the morning we", "a good meal is", "the old house", "on the road",
           "she found a", "the best way to learn is"]


class Engine:
    """One running service: each request is a line, and so is each answer."""

    def __init__(self, program, model):
        self.process = subprocess.Popen([program, "serve", "--model", model, "--slots", "1"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __call__(self, verb, **fields):
        self.process.stdin.write(json.dumps({verb: fields}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--accept", default=r"^[^.!?\n]+\.$", help="a text is accepted where this matches")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args()

    engine = Engine(options.program, options.model)
    slot = engine("open", rank=8, alpha=16, seed=1)["slot"]
    for number in range(options.rounds):
        samples = engine("sample", slot=slot, prompts=PROMPTS, n=8, max_new_tokens=24, seed=number)["samples"]
        accepted = [{"prompt": prompt, "completion": one["text"]} for prompt, texts in zip(PROMPTS, samples)
                    for one in texts if one["text"].strip() and re.search(options.accept, one["text"].strip())]
        print(f"round {number}: {len(accepted)} of {8 * len(PROMPTS)} accepted", flush=True)
        for _ in range(4 if accepted else 0):
            engine("forward_backward", slot=slot, examples=accepted)
            engine("optim_step", slot=slot, lr=options.lr)
    engine("shutdown")


if __name__ == "__main__":
    main()
