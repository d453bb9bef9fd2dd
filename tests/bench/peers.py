#!/usr/bin/env python3
"""finetune_tune beside the same sweep in transformers + PEFT, mlx-lm and skyrl-tx, in turn, on this machine.

    tests/bench/peers.py --peers ../shared/peers --samples ../shared/samples --python VENV/bin/python [--rounds 3]
        [--mlx VENV_MLX/bin/python] [--skyrl VENV_SKYRL/bin/python]
        [--cases sweep16,single,shape110m] [--out tests/bench/results/cpu_NAME.json]

VENV holds what peers/requirements.txt lists, the others what peers_mlx.py and peers_skyrl.py say, which also say what their
library does otherwise; a peer whose Python is not given is left out. Each round runs the peers and the program one after
the other, so that a neighbour's load hits all. A peer is the better of its modes (processes that share the grid, see
PEERS). The ratio printed is the median over rounds, that of whole processes (start, loading, reports) beside it. Tokens a
second are training tokens without padding over the wall time of the whole sweep, its evaluations included, loading
excluded; of a peer that compiles, the first calls with each length are part of it, their seconds named. The program's time
also holds its two baselines (the untouched base and a default run), whose tokens are not counted; a single configuration is
`finetune_tune train`, timed as a process, less the time of the same command with one step (loading and one evaluation).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]

# Learning rates and ranks of the peers' grid. Rates are per configuration, so all sides train the same adapters.
CASES = {
    "sweep16": {"model": "tinystories-656k", "lrs": [1e-4, 4.64e-4, 2.15e-3, 1e-2], "ranks": [4, 8, 16, 32],
                "steps": 100, "goal": 2.5, "workers": 2},
    "single": {"model": "tinystories-656k", "lrs": [1e-3], "ranks": [16], "steps": 100, "goal": 2.0, "workers": 1},
    "shape110m": {"model": "110m", "lrs": [1e-4, 1e-3], "ranks": [8, 16], "steps": 4, "goal": 1.2, "workers": 1},
}

# A peer's program, the option that names its Python, and the numbers of processes it is tried with, as far as a case allows.
# mlx computes on one thread what is not a matrix product, most of its time on a CPU: two processes from the start.
PEERS = {
    "PEFT": {"program": "{peers}/peft_sweep.py", "option": "python", "workers": [1, 2]},
    "mlx-lm": {"program": f"{BENCH}/peers_mlx.py", "option": "mlx", "workers": [2]},
    "skyrl-tx": {"program": f"{BENCH}/peers_skyrl.py", "option": "skyrl", "workers": [1, 2]},
}


def run(command: list[str]) -> None:
    """Runs a command; its output matters only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def run_peer(peer: dict, args: argparse.Namespace, case: dict, model: Path, data: Path, work: Path) -> dict:
    """The peer's best mode."""
    results = []
    for workers in sorted({min(count, case["workers"]) for count in peer["workers"]}):
        out = work / "peer.json"
        started = time.perf_counter()
        run([getattr(args, peer["option"]), peer["program"].format(peers=args.peers), "--model", str(model),
             "--train", str(data / "train.jsonl"), "--valid", str(data / "valid.jsonl"), "--valid-limit", "64",
             "--no-shuffle", "--device", "cpu", "--steps", str(case["steps"]), "--batch-size", "8",
             "--lrs", *map(str, case["lrs"]), "--ranks", *map(str, case["ranks"]),
             "--workers", str(workers), "--json", str(out)])
        process = time.perf_counter() - started
        report = json.loads(out.read_text())
        results.append({"tokens": report["tokens"], "seconds": report["wall_seconds"], "process_seconds": process,
                        "workers": workers, "first_call_seconds": report.get("first_call_seconds", 0.0),
                        "best": report["best"]["valid_loss"], "about": report.get("about", {})})
    return max(results, key=lambda r: r["tokens"] / r["seconds"])


def timed(command: list[str]) -> tuple[dict, float]:
    """What the program printed, and the seconds of its process."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout), wall


def run_ours(args: argparse.Namespace, case: dict, model: Path, data: Path, work: Path) -> dict:
    """The same grid, every configuration to the end; or `train` for a grid of one."""
    trials = len(case["lrs"]) * len(case["ranks"])
    common = ["--model", str(model), "--train", str(data / "train.jsonl"), "--valid", str(work / "valid64.jsonl"),
              "--out", str(work / "ours"), "--overwrite", "--json",
              "--set", "train.batch_size=8", "--set", "data.shuffle=false", "--set", "train.warmup_ratio=0",
              "--set", "train.lora.alpha_over_rank=2", "--set", "model.dtype=float32"]  # as the peer
    if trials == 1:
        verb = ["train", "--set", f"train.learning_rate={case['lrs'][0]}", "--set", f"train.lora.rank={case['ranks'][0]}"]
    else:
        verb = ["tune", "--trials", str(trials), "--set", "tune.sampler=grid", "--set", "tune.scheduler=none",
                "--set", f"search.train.learning_rate={{choices: {case['lrs']}}}",
                "--set", f"search.train.lora.rank={{choices: {case['ranks']}}}"]
    steps = ["--set", f"train.steps={case['steps']}"]
    report, wall = timed([str(args.program), *verb, *common, *steps])
    if trials == 1:
        first, wall_of_first = timed([str(args.program), *verb, *common, "--set", "train.steps=1"])
        return {"tokens": report["tokens"] - first["tokens"], "seconds": wall - wall_of_first,
                "start_seconds": wall_of_first, "best": report["valid_loss"]}
    return {"tokens": report["cost"]["tokens"], "seconds": report["cost"]["seconds"], "process_seconds": wall,
            "best": report["best"]["metric"]}


def prepare(args: argparse.Namespace, work: Path) -> None:
    """Data and the model of random weights."""
    run([args.python, str(args.peers / "prepare_data.py"), "sst2", "--source", str(args.samples / "datasets"),
         "--out", str(work / "data")])
    lines = (work / "data" / "valid.jsonl").read_text().splitlines(keepends=True)
    (work / "valid64.jsonl").write_text("".join(lines[:64]))


def model_of(args: argparse.Namespace, name: str, work: Path) -> Path:
    """A sample model, or one of random weights in a given shape."""
    if (args.samples / "models" / name).exists():
        return args.samples / "models" / name
    made = work / name
    if not made.exists():
        run([args.python, str(args.peers / "make_model.py"), "--shape", name, "--tokenizer",
             str(args.samples / "models" / "tinystories-656k"), "--out", str(made)])
    return made


def beside(case: str, name: str, peer: dict, ours: dict) -> dict:
    """The peer's result with its ratios, printed."""
    speed = [r["tokens"] / r["seconds"] for r in (peer, ours)]
    peer = peer | {"ratio": speed[1] / speed[0]}
    text = (f"{case}: {name} {speed[0]:,.0f} tokens/s (best {peer['best']:.5g}), ours {speed[1]:,.0f} "
            f"(best {ours['best']:.5g}), ratio {peer['ratio']:.2f}")
    if peer["first_call_seconds"]:
        text += f"; first calls {peer['first_call_seconds']:.1f} of its {peer['seconds']:.1f} s"
    if "process_seconds" in ours:
        peer["process_ratio"] = peer["process_seconds"] / ours["process_seconds"]
        text += (f"; whole processes {peer['process_seconds']:.1f} s and {ours['process_seconds']:.1f} s, "
                 f"ratio {peer['process_ratio']:.2f}")
    print(text, flush=True)
    return peer


def run_case(args: argparse.Namespace, name: str, work: Path) -> dict:
    """All rounds of a case."""
    case, rounds = CASES[name], []
    model, data = model_of(args, case["model"], work), work / "data"
    peers = {title: peer for title, peer in PEERS.items() if getattr(args, peer["option"])}
    for _ in range(args.rounds):
        results = {title: run_peer(peer, args, case, model, data, work) for title, peer in peers.items()}
        ours = run_ours(args, case, model, data, work)
        rounds.append({"ours": ours, "peers": {title: beside(name, title, r, ours) for title, r in results.items()}})
    ratios = {title: statistics.median(r["peers"][title]["ratio"] for r in rounds) for title in peers}
    print(f"{name}: median ratio " + ", ".join(f"{ratio:.2f} to {title}" for title, ratio in ratios.items())
          + f"; goal {case['goal']} to PEFT", flush=True)
    return {"goal": case["goal"], "median_ratios": ratios, "rounds": rounds}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--python", default="python3", help="of an environment with transformers and PEFT")
    parser.add_argument("--mlx", help="Python of an environment with mlx-lm")
    parser.add_argument("--skyrl", help="Python of an environment with skyrl-tx")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "finetune_tune")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(args, work)
        results = {name: run_case(args, name, work) for name in args.cases.split(",")}
    if args.out:
        commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                    if line.startswith("model name")), "unknown")
        args.out.write_text(json.dumps({"commit": commit.stdout.strip(), "cpu": cpu, "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
