"""What peers_mlx.py and peers_skyrl.py share: peft_sweep.py's command line, data and report, without torch.

Options, defaults and keys of the report are those of ../shared/peers/peft_sweep.py as far as they are here; what a library
cannot do is no option. More here: `--pack` (configurations side by side), `--init-adapter` (a PEFT folder to start every
configuration from: the same start in all peers, to compare their losses) and, in each run of the report, `loss` by step.

A peer is a class with `load(args)` (the model, in the process that trains), `about()` (versions), `prepare(examples)` (rows
as the library wants them, done once) and `train(configs, train, valid, args)`, which trains a pack of configurations side by
side and returns a `Result` for each. Its data: `threads_variable` (the environment's word for its threads), `clip` (what
`--clip` is if not given) and `limits` (the most an option may be).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer


@dataclass
class Example:
    """Token ids of one line; `skip` of them, at the front, carry no loss."""

    ids: list[int]
    skip: int

    @property
    def loss_tokens(self) -> int:
        """Ids that are predicted with loss (the first has no predecessor)."""
        return len(self.ids) - max(self.skip, 1)


@dataclass
class Config:
    """One configuration of the sweep."""

    lr: float
    rank: int
    seed: int = 0


@dataclass
class Result:
    """What came of one configuration; of a pack, each has its share of the seconds."""

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    eval_seconds: float = 0.0
    first_call_seconds: float = 0.0  # of calls that met a new shape: compiling, and computing once
    valid_loss: float = math.nan


def load_examples(path: str, args: argparse.Namespace, limit: int = 0) -> list[Example]:
    """Rows of {"prompt","completion"} as peer_lib.load_examples makes them."""
    tokenizer = Tokenizer.from_file(str(Path(args.model) / "tokenizer.json"))
    eos = json.loads((Path(args.model) / "config.json").read_text(encoding="utf-8"))["eos_token_id"]
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    rows = rows[:limit] if limit else rows
    encoded = tokenizer.encode_batch([row["prompt"] + row["completion"] for row in rows])
    skips = [next((i for i, (_, end) in enumerate(e.offsets) if end > len(row["prompt"])), len(e.ids))
             for e, row in zip(encoded, rows)]
    examples = [Example((e.ids + [eos])[: args.max_length], skip) for e, skip in zip(encoded, skips)]
    return [e for e in examples if e.loss_tokens > 0]


def batches_in_order(items: list, size: int, count: int) -> Iterator[list]:
    """The first `count` batches in file order, from the start again after the end."""
    starts = range(0, len(items), size)
    for step in range(count):
        start = starts[step % len(starts)]
        yield items[start : start + size]


def with_embeddings(model: Path, folder: Path) -> Path:
    """The model itself, or a copy in the folder whose tied matrix goes by the name the libraries look for.

    transformers finds it under `lm_head.weight` alone (as tinystories-656k has it); mlx-lm and skyrl-tx do not.
    """
    head, embeddings = "lm_head.weight", "model.embed_tokens.weight"
    tensors = load_file(model / "model.safetensors") if (model / "model.safetensors").exists() else {}
    if head not in tensors or embeddings in tensors:
        return model
    copy = Path(shutil.copytree(model, folder / "model", copy_function=shutil.copyfile))
    save_file(tensors | {embeddings: tensors[head]}, copy / "model.safetensors", {"format": "pt"})
    return copy


class Workbench:
    """A loaded peer with its data."""

    def __init__(self, peer_class: type, args: argparse.Namespace) -> None:
        self.args, self.peer = args, peer_class()
        self.peer.load(args)
        self.train = self.peer.prepare(load_examples(args.train, args))
        self.valid = self.peer.prepare(load_examples(args.valid, args, args.valid_limit))
        self.ready, self.cpu = time.perf_counter(), time.process_time()  # the first is one clock for all processes

    def run(self, configs: list[Config]) -> list[Result]:
        """Trains one pack."""
        return self.peer.train(configs, self.train, self.valid, self.args)

    def facts(self) -> dict[str, Any]:
        """What is known of this process."""
        return {"ready": self.ready, "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "cpu_seconds": time.process_time() - self.cpu, "about": self.peer.about()}


bench: Workbench  # of a worker process


def open_worker(peer_class: type, args: argparse.Namespace) -> None:
    """Prepares a worker process."""
    global bench
    bench = Workbench(peer_class, args)


def run_in_worker(configs: list[Config]) -> tuple[list[Result], dict[str, Any]]:
    """Trains one pack in a worker process."""
    return bench.run(configs), bench.facts()


def parse(peer_class: type, doc: str) -> argparse.Namespace:
    """peft_sweep.py's options."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="HuggingFace model directory")
    parser.add_argument("--train", required=True, help="training data, jsonl")
    parser.add_argument("--valid", required=True, help="validation data, jsonl")
    parser.add_argument("--valid-limit", type=int, default=0, help="use the first N validation lines (default: all)")
    parser.add_argument("--no-shuffle", action="store_true", required=True, help="file order, the only one here")
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--lrs", type=float, nargs="+", default=[1e-4, 4.64e-4, 2.15e-3, 1e-2], help="learning rates")
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 8, 16, 32], help="LoRA ranks")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the grid (default: 1)")
    parser.add_argument("--pack", type=int, default=1, help="configurations trained side by side (default: 1)")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--eval-batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--clip", type=float, default=peer_class.clip, help="gradient norm limit; 0: none (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init-adapter", type=Path, help="start from the PEFT adapter in this folder")
    parser.add_argument("--json", default="", help="write the report here instead of stdout")
    args = parser.parse_args()
    for option, most in peer_class.limits.items():
        if getattr(args, option) > most:
            parser.error(f"--{option}: this library has no more than {most}")
    return args


def run_packs(peer_class: type, args: argparse.Namespace, packs: list[list[Config]]) -> dict[str, Any]:
    """Trains all packs here or in worker processes; what it took, from the first loaded process on, and the results."""
    started = time.perf_counter()
    if args.workers == 1:
        work = Workbench(peer_class, args)
        done = [(work.run(pack), work.facts()) for pack in packs]
    else:
        os.environ[peer_class.threads_variable] = str(max(1, (os.cpu_count() or 1) // args.workers))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.workers, context, open_worker, (peer_class, args)) as pool:
            done = list(pool.map(run_in_worker, packs))
    loaded = min(facts["ready"] for _, facts in done)
    return {"load_seconds": loaded - started, "wall_seconds": time.perf_counter() - loaded,
            "cpu_seconds": done[-1][1]["cpu_seconds"] if args.workers == 1 else 0.0,
            "peak_rss_mib": max(facts["peak_rss_mib"] for _, facts in done), "about": done[0][1]["about"],
            "results": [result for results, _ in done for result in results]}


def main(peer_class: type, doc: str) -> None:
    """Entry point of a peer's program."""
    args = parse(peer_class, doc)
    configs = [Config(lr, rank, args.seed) for lr, rank in product(args.lrs, args.ranks)]
    with tempfile.TemporaryDirectory() as folder:
        args.model = with_embeddings(Path(args.model), Path(folder))
        report = run_packs(peer_class, args, [configs[i : i + args.pack] for i in range(0, len(configs), args.pack)])
        batches = batches_in_order(load_examples(args.train, args), args.batch_size, args.steps)
    results: list[Result] = report.pop("results")
    valid_loss, best = min((r.valid_loss if math.isfinite(r.valid_loss) else math.inf, i) for i, r in enumerate(results))
    tokens = len(configs) * sum(len(e.ids) for batch in batches for e in batch)
    report |= {
        "mode": "grid", "workers": args.workers, "pack": args.pack, "clip": args.clip, "trials": len(configs),
        "train_seconds": sum(r.seconds for r in results), "eval_seconds": sum(r.eval_seconds for r in results),
        "first_call_seconds": sum(r.first_call_seconds for r in results) / args.workers,
        "steps": len(configs) * args.steps, "stopped": 0,
        "tokens": tokens, "tokens_per_s": tokens / report["wall_seconds"], "peak_cuda_mib": 0.0,
        "best": {"lr": configs[best].lr, "rank": configs[best].rank, "valid_loss": valid_loss},
        "runs": [asdict(c) | {"steps": args.steps, "stopped": False} | asdict(r) for c, r in zip(configs, results)]}
    text = json.dumps(report, indent=1) + "\n"
    if args.json:
        Path(args.json).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
