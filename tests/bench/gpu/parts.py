#!/usr/bin/env python3
"""The parts of tests/bench/gpu.sh: runs `finetune_tune bench`, bench_gpu and the peer in turn, prints each number beside its
goal, adds it to one JSON file. Only the standard library is needed; the peer (peer.py) runs where torch and PEFT are there."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent

FULL_GOALS = {"qwen2.5-0.5b": 149e3, "qwen2.5-1.5b": 59e3}  # llmq on an H100
PACKED_GOALS = {1: 5.1, 2: 3.7, 4: 2.5}  # ALTO's fused kernels over one after the other, 32 adapters, by batch
SHORT_ROWS = ["--shortest", "100", "--longest", "300"]  # as GSM8K's
SHORT_LENGTH = ["--length", "100-300"]


def finish(command: list[str], seconds: int = 150) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, or for `seconds`, so that one that hangs does not take the others' time."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"error: not done after {seconds} s")


class Bench:
    """Runs programs, keeps rows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.rows: list[dict] = []
        self.runs: list[dict] = []

    def ours(self, *options: str) -> dict | None:
        """One run of bench_gpu; None when it failed (said, and kept)."""
        return self._run([str(self.args.build / "bench_gpu"), "--device", self.args.device, *options])

    def train(self, *options: str) -> dict | None:
        """One run of the program's own bench: training packed and one by one."""
        return self._run([str(self.args.build / "finetune_tune"), "bench", "--json", "--devices", self.args.device, *options])

    def peer(self, *options: str) -> dict | None:
        """One run of the same sizes in transformers and PEFT."""
        return self._run([sys.executable, str(HERE / "peer.py"), "--device", self.args.device, *options])

    def _run(self, command: list[str]) -> dict | None:
        started = time.perf_counter()
        done = finish(command)
        run = {"command": " ".join([Path(command[0]).name, *command[1:]]), "seconds": time.perf_counter() - started}
        self.runs.append(run)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if "rror" in line]
            run["failed"] = said[0] if said else f"exit code {done.returncode}"
            run["stderr"] = done.stderr[-4000:]
            print(f"  failed: {run['command']}: {run['failed']}", flush=True)
            return None
        run["result"] = json.loads(done.stdout.strip().splitlines()[-1])
        return run["result"]

    def row(self, what: str, value: float | None, unit: str, goal: float | None = None, at_most: bool = False) -> None:
        """A line of the table. `value` None: it could not be measured."""
        good = None if goal is None or value is None else (value <= goal if at_most else value >= goal)
        self.rows.append({"what": what, "value": value, "unit": unit, "goal": goal, "at_most": at_most, "good": good})
        number = "not measured" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        target = "" if goal is None else f"{'<=' if at_most else '>='} {goal:,.4g}" if goal < 1000 else f">= {goal:,.0f}"
        verdict = {None: "", True: "reached", False: "SHORT"}[good]
        print(f"{what:58} {number:>14} {unit:12} {target:>14} {verdict}", flush=True)


def value_of(result: dict | None, *keys: str) -> float | None:
    """result[key][key]..., where there is a result."""
    for key in keys:
        result = None if result is None else result.get(key)
    return result


def ratio(a: float | None, b: float | None) -> float | None:
    """a / b where both are there."""
    return a / b if a and b else None


def run_tests(bench: Bench) -> None:
    """The tests that need a device: kernels, parity, isolation, graphs."""
    for name in ("test_gpu_kernels", "test_gpu_engine"):
        done = finish([str(bench.args.build / name)], seconds=240)
        lines = [line for line in done.stdout.splitlines() if line.startswith(("[  FAILED  ]", "[  SKIPPED ]"))]
        for line in lines:
            print(" ", line)
        output = (done.stdout + done.stderr)[-8000:] if done.returncode else ""
        bench.runs.append({"command": name, "failed": lines, "output": output})
        bench.row(f"{name}: exit code", float(done.returncode), "", 0, at_most=True)
        skipped = sum("SKIPPED" in line for line in lines)
        bench.row(f"{name}: tests skipped", float(skipped), "", 0, at_most=True)


def one(bench: Bench, shapes: list[str], tokens: int) -> None:
    """A: one trial, beside PEFT in the same run."""
    for shape in shapes:
        for rows in (1024, 2048):
            size = ["--shape", shape, "--shortest", str(rows), "--longest", str(rows)]
            peer = bench.peer(*size, "--tokens-per-step", str(tokens))
            for kernels in ("auto", "written", "composition") if rows == 1024 else ("auto",):
                ours = bench.train("--shape", shape, "--length", str(rows), "--batch", str(tokens // rows), "--trials", "1",
                                   "--set", f"run.kernels={kernels}", "--set", f"run.tokens_per_pass={tokens}")
                speed = value_of(ours, "packed", "tokens_per_second")
                bench.row(f"{shape}, rows of {rows}, kernels {kernels}", speed, "tokens/s", value_of(ours, "goal", "goal"))
                bench.row("  share of the products' rate", value_of(ours, "packed", "share_of_products"), "")
                bench.row("  over PEFT", ratio(speed, value_of(peer, "tokens_per_second")), "x", 1)
            bench.row("  PEFT", value_of(peer, "tokens_per_second"), "tokens/s")


def packed(bench: Bench, shape: str = "llama-3.2-1b", trials: int = 32, seconds: int = 8) -> None:
    """B: adapters of ranks 16, 32, 64 side by side: one after the other, packed by ATen, packed by our kernels."""
    for batch in (1, 2, 4):
        common = ["--shape", shape, "--trials", str(trials), "--ranks", "16,32,64", "--batch", str(batch), *SHORT_LENGTH,
                  "--seconds", str(seconds)]
        loop = bench.train("--set", "run.kernels=composition", *common)
        grouped = bench.train("--set", "run.kernels=written", *common)
        speeds = [value_of(grouped, "one_by_one", "tokens_per_second"), value_of(loop, "packed", "tokens_per_second"),
                  value_of(grouped, "packed", "tokens_per_second")]
        for name, speed in zip(("one after the other", "packed, ATen", "packed, grouped kernels"), speeds):
            bench.row(f"{trials} adapters, batch {batch}, {name}", speed, "tokens/s")
        bench.row("  packed over one after the other", ratio(speeds[2], speeds[0]), "x", PACKED_GOALS[batch])
        bench.row("  grouped kernels over ATen's loop", ratio(speeds[2], speeds[1]), "x", 1)


def sweep(bench: Bench, configurations: int, shape: str, steps: int, trials: int) -> None:
    """C: a grid of configurations to the end and with early exit, beside PEFT one by one."""
    common = ["--case", "sweep", "--shape", shape, "--configurations", str(configurations), "--trials", str(trials),
              "--ranks", "16,32,64" if configurations >= 60 else "16", "--steps", str(steps), *SHORT_ROWS]
    whole = bench.ours(*common, "--scheduler", "none")
    early = bench.ours(*common, "--scheduler", "early_exit")
    peers = [bench.peer("--shape", shape, *SHORT_ROWS, "--batch", str(batch), "--steps", "12") for batch in (1, 2, 4, 8)]
    peer = None
    if all(peers):  # every configuration to the end, from the peer's steps a second at each batch size
        peer = configurations / 4 * steps * sum(p["step_ms"] for p in peers) / 1e3
    bench.row(f"{configurations} configurations of {shape}, {steps} steps, to the end", value_of(whole, "seconds"), "s")
    bench.row("  with early exit", value_of(early, "seconds"), "s")
    bench.row("  early exit over to the end", ratio(value_of(whole, "seconds"), value_of(early, "seconds")), "x", 2)
    bench.row("  PEFT one by one (from 12 steps per batch size)", peer, "s")
    bench.row("  PEFT over ours to the end", ratio(peer, value_of(whole, "seconds")), "x", 1)
    bench.row("  PEFT over ours with early exit", ratio(peer, value_of(early, "seconds")), "x", 6)


def latency(bench: Bench, shapes: list[str], trials: int = 8) -> None:
    """D: from a tuner's decision to the step that obeys it, and what a clone costs."""
    for shape in shapes:
        # Rows of one length, so that a capture could only come from a decision.
        result = bench.ours("--case", "latency", "--shape", shape, "--trials", str(trials), "--batch", "1",
                            "--shortest", "200", "--longest", "200")
        bench.row(f"{shape}: a decision, beyond the step that obeys it", value_of(result, "decision_ms"), "ms", 1, at_most=True)
        bench.row("  clone of a slot", value_of(result, "clone_ms"), "ms", 1, at_most=True)
        bench.row("  pause to host memory", value_of(result, "pause_ms"), "ms")
        bench.row("  resume", value_of(result, "resume_ms"), "ms")
        bench.row("  graphs captured anew by decisions", value_of(result, "recaptures"), "", 0, at_most=True)


def full(bench: Bench, shapes: list[str]) -> None:
    """E: all weights."""
    for shape in shapes:
        result = bench.train("--shape", shape, "--trials", "1", "--set", "train.method=full", "--set",
                             "run.tokens_per_pass=8192", "--length", "1024", "--batch", "8")
        bench.row(f"{shape}, all weights, rows of 1024", value_of(result, "packed", "tokens_per_second"), "tokens/s",
                  FULL_GOALS.get(shape))


def gaps(bench: Bench, shapes: list[str]) -> None:
    """F: kernels of a step and the device's idle share, with graphs and without."""
    for shape in shapes:
        for graphs in ("1", "0"):
            result = bench.ours("--case", "gaps", "--shape", shape, "--graphs", graphs)
            name = "graphs" if graphs == "1" else "no graphs"
            bench.row(f"{shape}, {name}: kernels of a step", value_of(result, "kernels_per_step"), "")
            bench.row("  share of the time the GPU idles", value_of(result, "idle_share"), "",
                      0.05 if graphs == "1" else None, at_most=True)


def smoke(bench: Bench) -> None:
    """Every case once, with a tiny model: does it run?"""
    tiny = ["--shape", "tiny", "--dtype", "float32", "--tokens-per-pass", "128", "--steps", "4", "--trials", "3", "--batch",
            "2", "--shortest", "8", "--longest", "24"]
    cases: list[tuple[list[str], str]] = [(["--case", "latency"], "decision_ms"),
        (["--case", "gaps"], "kernels_per_step"), (["--case", "sweep", "--scheduler", "early_exit"], "seconds")]
    failed = 0
    for method in ("lora", "full"):
        result = bench.train("--shape", "tiny", "--set", "model.dtype=float32", "--set", f"train.method={method}", "--trials",
                             "3", "--batch", "2", "--length", "8-24", "--seconds", "1")
        bench.row(f"train {method}", value_of(result, "packed", "tokens_per_second"), "tokens/s")
        failed += result is None
    for options, key in cases:
        result = bench.ours(*options, *tiny, *(["--shortest", "16", "--longest", "16"] if "latency" in options else []))
        bench.row(" ".join(options), value_of(result, key), key)
        failed += result is None
        if result and options[1] == "latency":
            bench.row("  graphs captured anew by decisions", result["recaptures"], "", 0, at_most=True)
            failed += result["recaptures"] != 0
    if failed:
        sys.exit(1)


PARTS: dict[str, Callable[[Bench], None]] = {
    "tests": run_tests,
    "one-0.5b": lambda b: one(b, ["qwen2.5-0.5b", "qwen3-0.6b"], 16384),
    "one-1.5b": lambda b: one(b, ["qwen2.5-1.5b", "qwen3-1.7b"], 16384),
    "one-4b": lambda b: one(b, ["qwen3-4b"], 8192),
    "one-8b": lambda b: one(b, ["qwen2.5-7b", "llama-3.1-8b"], 8192),
    "packed": packed,
    "sweep16": lambda b: sweep(b, 16, "qwen2.5-0.5b", 60, 16),
    "sweep60": lambda b: sweep(b, 60, "qwen2.5-0.5b", 60, 30),
    "latency": lambda b: latency(b, ["qwen2.5-0.5b", "llama-3.1-8b"]),
    "full": lambda b: full(b, ["qwen2.5-0.5b", "qwen2.5-1.5b"]),
    "gaps": lambda b: gaps(b, ["qwen2.5-0.5b", "qwen2.5-1.5b"]),
    "smoke": smoke,
}


def versions(args: argparse.Namespace) -> dict:
    """What the numbers depend on."""
    def output(command: list[str]) -> str:
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
    def package(name: str) -> str:
        return output([sys.executable, "-c", f"import {name}; print({name}.__version__)"])
    gpu = output(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    return {"device": gpu if args.device != "cpu" else "cpu", "commit": args.commit, "torch": package("torch"),
            "transformers": package("transformers"), "peft": package("peft")}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--commit", default="unknown")
    args = parser.parse_args()
    args.build = args.build.resolve()
    if args.parts == ["parts"]:
        print(" ".join(PARTS))
        return
    parts = [name for name in PARTS if name != "smoke"] if args.parts == ["all"] else args.parts
    unknown = [name for name in parts if name not in PARTS]
    if unknown:
        print(f"gpu.sh: no part {unknown[0]}; parts: {' '.join(PARTS)}", file=sys.stderr)
        sys.exit(2)
    report = {"versions": versions(args), "parts": {}}
    if args.out.exists():
        old = json.loads(args.out.read_text())
        if old.get("versions") == report["versions"]:
            report["parts"] = old["parts"]
    for name in parts:
        bench, started = Bench(args), time.perf_counter()
        print(f"== {name}", flush=True)
        try:
            PARTS[name](bench)
        finally:
            report["parts"][name] = {"seconds": time.perf_counter() - started, "rows": bench.rows, "runs": bench.runs}
            args.out.write_text(json.dumps(report, indent=1) + "\n")
    short = [row["what"].strip() for name in parts for row in report["parts"][name]["rows"] if row["good"] is False]
    print(f"{args.out}: {len(short)} short of the goal" + "".join(f"\n  {what}" for what in short))


if __name__ == "__main__":
    main()
