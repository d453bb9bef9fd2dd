#!/usr/bin/env python3
"""The sweep of peft_sweep.py in mlx-lm on mlx's CPU backend, one adapter after another over one loaded base.

    python -m venv VENV && VENV/bin/pip install "mlx[cpu]==0.32.4" mlx-lm==0.32.2
    VENV/bin/python peers_mlx.py --model MODEL --train train.jsonl --valid valid.jsonl --valid-limit 64 --no-shuffle

mlx_lm's own `train`: its compiled step, its padding (one more than a multiple of 32), its loss. Given to it through its
parameters: batches in file order, an AdamW that corrects its bias (mlx's default does not) and limits the gradient's norm
(`train` has no such option). Its loss counts the padding after the end of each row as one more target; the lengths handed
over are one less, so that the targets are the rows' own. Logits are computed for all positions.
Beside peft_train.py, tinystories-656k, sst2, rank 16, rate 1e-3, started from its adapter (`--init-adapter`): losses of 100
steps agree to 4.2e-5, the valid loss to 1.8e-6 (0.111990 and 0.111988); from mlx-lm's own start it is 0.11157.

The wheel brings the reference BLAS. With OpenBLAS in its place (`LD_PRELOAD=libopenblas.so.0`, from Debian's libopenblas0)
products are 30 to 50 times as fast on one thread, a step 5 to 7 times; `about` in the report names the one that was there.
peers.py takes a script as Python that sets it: `exec env LD_PRELOAD=libopenblas.so.0 VENV/bin/python "$@"`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.trainer import TrainingArgs, evaluate, iterate_batches, train
from mlx_lm.tuner.utils import linear_to_lora_layers, remove_lora_layers
from mlx_lm.utils import load_model

from peers_common import Config, Example, Result, batches_in_order, main

Row = tuple[list[int], int]  # as mlx_lm's data sets give them: ids, and how many of them carry no loss


class ClippedAdamW(optim.AdamW):
    """AdamW after a limit of the gradient's norm."""

    def __init__(self, limit: float, **options: object) -> None:
        super().__init__(**options)
        self.limit = limit

    def apply_gradients(self, gradients: dict, parameters: dict) -> dict:
        """Called inside the compiled step."""
        clipped = optim.clip_grad_norm(gradients, self.limit)[0] if self.limit else gradients
        return super().apply_gradients(clipped, parameters)


class Losses(TrainingCallback):
    """Keeps the losses that `train` reports."""

    def __init__(self) -> None:
        self.loss: list[float] = []

    def on_train_loss_report(self, train_info: dict) -> None:
        """Called after each interval of steps."""
        self.loss.append(train_info["train_loss"])


def in_file_order(dataset: list[Row], batch_size: int, max_seq_length: int, loop: bool = False,
                  **_: object) -> Iterator[tuple[mx.array, mx.array]]:
    """mlx_lm's iterate_batches, batch by batch: it pads, the order stays."""
    while True:
        for rows in batches_in_order(dataset, batch_size, -(-len(dataset) // batch_size)):
            for ids, lengths in iterate_batches(rows, len(rows), max_seq_length):
                yield ids, lengths - mx.array([0, 1])
        if not loop:
            return


class MlxPeer:
    """mlx-lm."""

    threads_variable = "OPENBLAS_NUM_THREADS"
    clip = 1.0
    limits = {"pack": 1}

    def load(self, args: argparse.Namespace) -> None:
        """The base, frozen."""
        self.model, self.config = load_model(Path(args.model))
        self.model.freeze()

    def about(self) -> dict[str, str]:
        """Versions, and whose matrix products."""
        blas = "OpenBLAS" if "/libopenblas" in Path("/proc/self/maps").read_text(encoding="utf-8") else "reference"
        return {name: version(name) for name in ("mlx", "mlx-lm")} | {"blas": blas}

    def prepare(self, examples: list[Example]) -> list[Row]:
        """Rows as mlx_lm's data sets give them."""
        return [(e.ids, e.skip) for e in examples]

    def add_adapter(self, config: Config, args: argparse.Namespace) -> None:
        """All linear layers of the blocks; drawn from the seed, or PEFT's."""
        mx.random.seed(config.seed)
        layers = self.config["num_hidden_layers"]
        linear_to_lora_layers(self.model, layers, {"rank": config.rank, "scale": 2.0, "dropout": 0.0})
        if args.init_adapter:
            weights = mx.load(str(args.init_adapter / "adapter_model.safetensors"))
            names = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}
            mine = [(name.removeprefix("base_model.model.")[: -len(end)] + ours, w.T)
                    for name, w in weights.items() for end, ours in names.items() if name.endswith(end)]
            self.model.load_weights(mine, strict=False)

    def train(self, configs: list[Config], rows: list[Row], valid: list[Row], args: argparse.Namespace) -> list[Result]:
        """A pack of one."""
        (config,), result, losses = configs, Result(), Losses()
        self.add_adapter(config, args)
        optimizer = ClippedAdamW(args.clip, weight_decay=0.0, bias_correction=True,
                                 learning_rate=optim.linear_schedule(config.lr, 0.0, args.steps))
        with tempfile.TemporaryDirectory() as folder:
            options = TrainingArgs(batch_size=args.batch_size, iters=args.steps, max_seq_length=args.max_length,
                                   steps_per_report=1, adapter_file=str(Path(folder) / "adapters.safetensors"))
            started = time.perf_counter()
            train(self.model, optimizer, rows, args=options, iterate_batches=in_file_order, training_callback=losses)
        result.seconds, result.loss = time.perf_counter() - started, losses.loss
        started = time.perf_counter()
        result.valid_loss = evaluate(self.model, sorted(valid, key=lambda row: len(row[0])), args.eval_batch, -1,
                                     args.max_length, iterate_batches=in_file_order)
        result.eval_seconds = time.perf_counter() - started
        remove_lora_layers(self.model)
        return [result]


if __name__ == "__main__":
    main(MlxPeer, __doc__)
