#!/usr/bin/env python3
"""How speed, memory and starting time go with the number of trials, the length of rows, ranks, data and studies.

    tests/bench/curves.py --samples ../shared/samples --smollm2 FOLDER [--curves trials,lengths] [--rounds 3] [--fresh]

Each point is measured in every round, and rounds follow each other, so that a neighbour's load hits all points; what is shown
is the median. What has been measured is kept in results/curves.json after every point, and a run that was cut off goes on there,
as long as program, processor and number of threads are the same. Ends with results/curves.md and the plots in docs/.
Nothing beside Python's own library and the program is needed; without --smollm2 its rows are left out. Three rounds of all of it
take some 20 minutes on two cores that do nothing else.

    start     from the beginning of the process until the first step is logged
    trials    tokens a second of 1 to 64 trials side by side (must not fall)
    lengths   of rows of 32 to 2,048 tokens, 2,048 tokens of each trial a step
    ranks     of adapters of rank 4 to 128
    rows      10,000 to 1,000,000 rows of data: start, memory, tokens a second
    studies   10 to 10,000 trials of a model of some thousand weights: what a trial takes, start excluded
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import curves_report

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.001  # seconds
WORDS = ("the of and to in that is was he for it with as his on be at by had not are but from or have an they which one you were "
         "all her she there would their we him been has when who will no more if out so up said what its about").split()


@dataclass
class Place:
    """Where things are: the program, models by name, a folder to work in."""
    program: Path
    models: dict[str, Path]
    sst2: Path
    work: Path

    def environment(self) -> dict[str, str]:
        """Tokens and calibrations of earlier runs are not taken, except where a first run has just written them."""
        return os.environ | {"XDG_CACHE_HOME": str(self.work / "cache")}


def fail(command: list[str], text: str) -> None:
    raise SystemExit(f"{' '.join(command)}\n{text}")


def bench(place: Place, model: str, *flags: str) -> dict[str, float]:
    """Tokens a second of trials side by side."""
    command = [str(place.program), "bench", "--json", "--seconds", "2", "--model", str(place.models[model]), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=place.environment())
    if done.returncode != 0:
        fail(command, done.stderr)
    report = json.loads(done.stdout)
    return {"tokens_per_second": report["packed"]["tokens_per_second"], "lanes": report["lanes"]}


def processor_seconds(pid: int) -> float:
    """What all threads of a process have computed so far: hardly changed by a neighbour's load."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def played(place: Place, verb: str, model: str, *flags: str) -> tuple[dict[str, float], dict]:
    """A run, watched: seconds until its first step is logged, by the clock and of the processors, seconds until its end, peak
    MiB; and what it printed."""
    out = place.work / "out"
    shutil.rmtree(out, ignore_errors=True)
    first = out / ("metrics.jsonl" if verb == "train" else "trials/000000/metrics.jsonl")
    command = [str(place.program), verb, "--json", "--model", str(place.models[model]), "--out", str(out), *flags]
    began, started, computed = time.perf_counter(), 0.0, 0.0
    with open(place.work / "stdout", "w+") as stdout, open(place.work / "stderr", "w+") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=place.environment())
        while True:
            if started == 0 and first.exists() and first.stat().st_size > 0:
                started, computed = time.perf_counter() - began, processor_seconds(process.pid)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(POLL)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if process.returncode != 0:
            fail(command, stderr.read())
        run = {"start": started, "start_cpu": computed, "seconds": wall, "cpu": usage.ru_utime + usage.ru_stime,
               "mib": usage.ru_maxrss / 1024}
        return run, json.loads(stdout.read())


def sst2(place: Place) -> list[str]:
    """Prompts of some twenty tokens."""
    return ["--train", str(place.sst2 / "train.tsv"), "--valid", str(place.work / "dev.tsv"), "--set", "train.batch_size=8",
            "--set", "data.prompt=Review: {sentence} Sentiment:", "--set", "data.completion= {label}"]


def measure_start(place: Place, point: str) -> dict[str, float]:
    verb, model = point.split(" ")
    trials = ["--trials", "4"] if verb == "tune" else []
    return played(place, verb, model, "--steps", "2", *trials, *sst2(place))[0]


def measure_rows(place: Place, rows: int) -> dict[str, float]:
    """The steps of a second, longer run over what both take are tokens a second."""
    flags = ["--train", str(lines_file(place, rows)), "--valid", str(lines_file(place, 64)), "--set", "train.batch_size=64"]
    short, first = played(place, "train", "tinystories-656k", "--steps", "1", *flags)
    longer, last = played(place, "train", "tinystories-656k", "--steps", "100", *flags)
    seconds = (longer["seconds"] - longer["start"]) - (short["seconds"] - short["start"])
    return {"start": short["start"], "mib": max(short["mib"], longer["mib"]),
            "tokens_per_second": (last["tokens"] - first["tokens"]) / seconds}


def measure_study(place: Place, trials: int) -> dict[str, float]:
    """Every trial to its end: what schedulers would save is not the question here."""
    run, report = played(place, "tune", "small", "--trials", str(trials), "--steps", "3", "--train", str(small_data(place)),
                         "--set", "data.valid_fraction=0.2", "--set", "train.batch_size=2", "--set", "tune.method=random+none",
                         "--set", "run.lanes=1")
    return {"milliseconds": 1000 * (run["seconds"] - run["start"]) / trials, "mib": run["mib"],
            "cpu_milliseconds": 1000 * (run["cpu"] - run["start_cpu"]) / trials,
            "study_milliseconds": 1000 * report["cost"]["seconds"] / trials}


def lines_file(place: Place, rows: int) -> Path:
    path = place.work / f"lines{rows}.jsonl"
    if not path.exists():
        draw = random.Random(1)
        with path.open("w") as out:
            for i in range(rows):
                out.write('{"text": "%s"}\n' % " ".join(draw.choices(WORDS, k=4 + i % 5)))
    return path


def small_data(place: Place) -> Path:
    path = place.work / "small.jsonl"
    if not path.exists():
        path.write_text("".join(json.dumps({"prompt": f"ab c{chr(97 + i % 26)}:", "completion": " d"}) + "\n" for i in range(20)))
    return path


def add_small_model(place: Place) -> None:
    """The tests' model of some thousand weights, with a tokenizer of single characters."""
    folder = place.work / "small"
    shutil.copytree(ROOT / "tests" / "golden" / "models" / "llama", folder)
    tokens = ["<unk>", "<s>", "</s>"] + [chr(97 + i) for i in range(26)] + [" ", ":", ".", "0", "1"]
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [{"id": 2, "content": "</s>", "special": True, "normalized": False}],
        "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": []}}))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    place.models["small"] = folder


def add_long_model(place: Place) -> None:
    """tinystories with room for 2,048 positions: rotary angles go on, and speed is all that is asked of it."""
    folder = place.work / "long"
    folder.mkdir()
    for file in place.models["tinystories-656k"].iterdir():
        shutil.copyfile(file, folder / file.name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 2048}))
    place.models["long"] = folder


# Points of each curve, and how one is measured; a name with a space is "which one".
TINY = "tinystories-656k"
CURVES = {
    "start": (["train " + TINY, "tune " + TINY, "train smollm2-135m", "tune smollm2-135m"], measure_start),
    "trials": ([f"{TINY} {n}" for n in (1, 2, 4, 8, 16, 32, 64)] + [f"smollm2-135m {n}" for n in (1, 2, 4, 8)],
               lambda place, point: bench(place, point.split()[0], "--trials", point.split()[1])),
    "lengths": ([32, 64, 128, 256, 512, 1024, 2048],
                lambda place, n: bench(place, "long", "--trials", "4", "--length", str(n), "--batch", str(2048 // n))),
    "ranks": ([4, 8, 16, 32, 64, 128], lambda place, n: bench(place, TINY, "--trials", "8", "--ranks", str(n))),
    "rows": ([10_000, 100_000, 1_000_000], measure_rows),
    "studies": ([10, 100, 1000, 10_000], measure_study),
}


def identity(args: argparse.Namespace) -> dict:
    """What has to be the same for numbers to stand side by side."""
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")
    return {"commit": commit.strip(), "cpu": cpu, "threads": len(os.sched_getaffinity(0)),
            "program": hashlib.sha256(args.program.read_bytes()).hexdigest()[:12]}


def load(args: argparse.Namespace) -> dict:
    """What is there already, of the same program on the same machine."""
    who = identity(args)
    if args.json.exists() and not args.fresh:
        known = json.loads(args.json.read_text())
        if known["measured"] == who:
            return known
        print(f"{args.json.name} is of {known['measured']}: measured anew", flush=True)
    return {"measured": who, "samples": {}}


def measure(args: argparse.Namespace, place: Place, results: dict) -> None:
    for name in args.curves.split(","):
        points, how = CURVES[name]
        samples = results["samples"].setdefault(name, {})
        for number in range(args.rounds):
            for point in points:
                have = samples.setdefault(str(point), [])
                if len(have) > number or ("smollm2" in str(point) and "smollm2-135m" not in place.models):
                    continue
                began = time.perf_counter()
                have.append(how(place, point))
                shown = ", ".join(f"{key} {value:.5g}" for key, value in have[-1].items())
                print(f"{name} {point}, round {number + 1}: {shown} ({time.perf_counter() - began:.0f} s)", flush=True)
                args.json.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True, help="folder with models/ and datasets/")
    parser.add_argument("--smollm2", type=Path, help="checkpoint of SmolLM2-135M")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "finetune_tune")
    parser.add_argument("--curves", default=",".join(CURVES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="measure everything anew")
    parser.add_argument("--json", type=Path, default=ROOT / "tests" / "bench" / "results" / "curves.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the plots")
    args = parser.parse_args()
    unknown = [name for name in args.curves.split(",") if name not in CURVES]
    if unknown:
        sys.exit(f"unknown curve {unknown[0]}; there are {', '.join(CURVES)}")
    args.program = args.program.resolve()
    results = load(args)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(args.program, {TINY: (args.samples / "models" / TINY).resolve()},
                      (args.samples / "datasets" / "sst2").resolve(), Path(folder))
        if args.smollm2:
            place.models["smollm2-135m"] = args.smollm2.resolve()
        (place.work / "dev.tsv").write_text("".join((place.sst2 / "dev.tsv").open().readlines()[:65]))
        add_small_model(place)
        add_long_model(place)
        measure(args, place, results)
    args.json.with_suffix(".md").write_text(curves_report.tables(results))
    for name, svg in curves_report.plots(results).items():
        (args.docs / name).write_text(svg)


if __name__ == "__main__":
    main()
