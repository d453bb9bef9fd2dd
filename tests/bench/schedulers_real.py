#!/usr/bin/env python3
"""What each scheduler saves in the real engine: the same 32 configurations, the same data, one table.

    tests/bench/schedulers_real.py --samples ../shared/samples [--program build/finetune_tune] [--seeds 0,1,2]
        [--schedulers none,asha,...] [--out tests/bench/results/schedulers_real.json]

Every scheduler judges the same random configurations (learning rate and rank of the default search) of
tinystories-656k on SST-2 prompts, 100 steps each at most, 16 side by side. `share` is the part of the steps of `none`,
which runs every configuration to its end; `winner` says whether the best validation loss is within 1 % of that of
`none`. All are evaluated every 10 steps, besides where a scheduler asks for it, so that none finds its best only because
it looked more often. Nothing in the table depends on the machine's load.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRIALS, STEPS, TRAIN_LINES, VALID_LINES = 32, 100, 2000, 64
WITHIN, FEWER = 0.01, 0.60  # of the best loss; of the steps
# Options that a scheduler needs before it does anything.
OPTIONS = {"threshold": {"upper": 5.0, "warmup_steps": 20}}
LEFT_OUT = ["replay"]  # needs a population's run first
# Populations stop nobody and change what they train: the steps are those of `none`, the winner is another.
SCHEDULERS = ["none", "asha", "asha_promotion", "hyperband", "sync_hyperband", "pasha", "median", "percentile",
              "threshold", "patient", "wilcoxon", "early_exit", "cut", "pbt", "pb2"]


def run_study(args: argparse.Namespace, work: Path, scheduler: str, seed: int) -> dict:
    """One study; its report."""
    part = {"name": scheduler, **OPTIONS.get(scheduler, {})}
    command = [str(args.program), "--model", str(args.samples / "models/tinystories-656k"),
               "--train", str(work / "train.tsv"), "--valid", str(work / "valid.tsv"), "--out", str(work / "out"),
               "--overwrite", "--json", "--trials", str(TRIALS), "--steps", str(STEPS),
               "--set", "data.prompt=Review: {sentence} Sentiment:", "--set", "data.completion= {label}",
               "--set", "train.batch_size=8", "--set", "tune.concurrent=16", "--set", "tune.sampler=random",
               "--set", "run.eval_every=10",
               "--set", f"tune.seed={seed}", "--set", f"tune.scheduler={json.dumps(part)}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads(done.stdout)
    return {"steps": report["cost"]["steps"], "best": report["best"]["metric"], "params": report["best"]["params"],
            "completed": sum(trial["state"] == "completed" for trial in report["trials"])}


def first_lines(source: Path, target: Path, skip: int, count: int) -> None:
    lines = source.read_text().splitlines(keepends=True)
    target.write_text("".join([lines[0], *lines[1 + skip:1 + skip + count]]))


def row_of(scheduler: str, runs: list[dict], base: list[dict]) -> dict:
    """Medians over seeds; each seed is held against the same seed without stopping."""
    shares = [run["steps"] / other["steps"] for run, other in zip(runs, base)]
    losses = [run["best"] / other["best"] - 1 for run, other in zip(runs, base)]
    return {"scheduler": scheduler, "steps": statistics.median(run["steps"] for run in runs),
            "share": statistics.median(shares), "best": statistics.median(run["best"] for run in runs),
            "worst_loss_above_none": max(losses), "within_1_percent": sum(loss <= WITHIN for loss in losses),
            "same_winner": sum(run["params"] == other["params"] for run, other in zip(runs, base)),
            "runs": runs}


def markdown(table: dict) -> str:
    seeds = len(table["seeds"])
    lines = ["# Schedulers in the real engine", "", f"`{table['command']}`", "",
             f"{TRIALS} random configurations of tinystories-656k on SST-2 prompts, {STEPS} steps at most, {seeds} seeds; "
             "medians. The goal for halving and early exit: within 1 % of the best loss with at least 60 % fewer steps.",
             "", "| scheduler | steps | share of `none` | best valid_loss | within 1 % of `none` | same winner |",
             "|---|---|---|---|---|---|"]
    for row in table["rows"]:
        lines.append(f"| {row['scheduler']} | {row['steps']:.0f} | {100 * row['share']:.1f} % | {row['best']:.4f} | "
                     f"{row['within_1_percent']} of {seeds} (at worst {100 * row['worst_loss_above_none']:+.1f} %) | "
                     f"{row['same_winner']} of {seeds} |")
    return "\n".join([*lines, "", *verdicts(table)]) + "\n"


def verdicts(table: dict) -> list[str]:
    """Which of those that should save did."""
    seeds = len(table["seeds"])
    said = []
    for row in table["rows"]:
        if row["scheduler"] not in ("asha", "asha_promotion", "hyperband", "sync_hyperband", "early_exit"):
            continue
        met = row["share"] <= 1 - FEWER and row["within_1_percent"] == seeds
        said.append(f"- {row['scheduler']}: goal {'met' if met else 'not met'} "
                    f"({100 * (1 - row['share']):.0f} % fewer steps, within 1 % in {row['within_1_percent']} of {seeds})")
    return said


def write_table(args: argparse.Namespace, seeds: list[int], names: list[str], runs: dict[str, list[dict]]) -> None:
    """After every seed, so that a run cut short leaves the table of those before."""
    command = (f"tests/bench/schedulers_real.py --samples ../shared/samples --seeds {','.join(map(str, seeds))} "
               f"--schedulers {','.join(names)}")
    table = {"command": command, "seeds": seeds, "trials": TRIALS, "steps": STEPS, "left_out": LEFT_OUT,
             "rows": [row_of(name, runs[name], runs["none"]) for name in names]}
    args.out.write_text(json.dumps(table, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(markdown(table))
    if len(seeds) == len(args.seeds.split(",")):
        print(markdown(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--program", type=Path, default=ROOT / "build/finetune_tune")
    parser.add_argument("--schedulers", default=",".join(SCHEDULERS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=ROOT / "tests/bench/results/schedulers_real.json")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    names = ["none", *(name for name in args.schedulers.split(",") if name != "none")]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sst2 = args.samples / "datasets/sst2"
        first_lines(sst2 / "train.tsv", work / "train.tsv", 0, TRAIN_LINES)
        first_lines(sst2 / "dev.tsv", work / "valid.tsv", 0, VALID_LINES)
        runs: dict[str, list[dict]] = {name: [] for name in names}
        for done, seed in enumerate(seeds, 1):
            for name in names:
                runs[name].append(run_study(args, work, name, seed))
                print(f"seed {seed}  {name:15} {runs[name][-1]['steps']:5} steps  best {runs[name][-1]['best']:.4f}", flush=True)
            write_table(args, seeds[:done], names, runs)


if __name__ == "__main__":
    main()
