#!/usr/bin/env python3
"""The sweep of peft_sweep.py in skyrl-tx (JAX) on a CPU, `--pack` adapters in one batch over one base, in process.

    python -m venv VENV && VENV/bin/pip install "skyrl_tx[tinker]==0.3.0" "jax<1.0" "flax>=0.12.2" "optax>=0.2.5"
    VENV/bin/python peers_skyrl.py --model MODEL --train train.jsonl --valid valid.jsonl --valid-limit 64 --no-shuffle

The engine's batches and backend without its server and data base: each step is one forward_backward of the whole pack and
one optim_step an adapter, as the engine does it. It compiles for each length it pads to (32, 48, 64, 96, 128): part of the
wall time, and `first_call_seconds` says how much. JAX computes `ragged_dot` on a CPU as a product of every row with every
adapter, masked, so that packs cost more than they save: in CPU time a token, a pack of 4 takes 1.5 times what one adapter
takes, a pack of 16 nearly 4 times, in one micro-batch or in 16. The default is therefore one adapter after another.

It has no limit of the gradient's norm (`--clip` is 0), and the gradient of a batch is the mean over examples of the mean
over their loss tokens, where PEFT's is the mean over loss tokens; the losses reported are PEFT's. Beside peft_train.py with
`--clip 0`, tinystories-656k, rank 16, rate 1e-3, started from its adapter (`--init-adapter`): on rows of equally many loss
tokens the losses of 40 steps agree to 3.9e-6 and the valid loss to 9.1e-7; on sst2 as it is the first five losses to 0.008
and the valid loss after 100 steps to 0.0013 (0.1233 and 0.1221).
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tx.tinker import types
from tx.tinker.backends.jax import JaxBackend, JaxBackendConfig
from tx.tinker.engine import prepare_model_pass_batch

from peers_common import Config, Example, Result, batches_in_order, main


def datum(example: Example) -> types.Datum:
    """A row as a client sends it: ids, the ids after them, and which of those count."""
    ids, targets = example.ids[:-1], example.ids[1:]
    weights = [float(i + 1 >= example.skip) for i in range(len(targets))]
    zeros, targets, weights = (types.TensorData(data=data) for data in ([0.0] * len(targets), targets, weights))
    return types.Datum(
        model_input=types.ModelInput(chunks=[types.ModelInputChunk(tokens=ids)]),
        loss_fn_inputs=types.LossFnInputs(target_tokens=targets, weights=weights, advantages=zeros, logprobs=zeros))


def request(names: list[str], rows: list[types.Datum]) -> types.PreparedModelPassBatch:
    """The same rows for each adapter, in one batch."""
    wanted = types.ForwardBackwardInput(data=rows, loss_fn="cross_entropy")
    return prepare_model_pass_batch({name: (name, wanted) for name in names})


def loss_sum(output: types.ForwardBackwardOutput) -> float:
    """Sum of the NLL over loss tokens."""
    return sum(sum(row["elementwise_loss"]["data"]) for row in output.loss_fn_outputs)


def loss_tokens(rows: list[types.Datum]) -> float:
    """Loss tokens of a batch."""
    return sum(sum(row.loss_fn_inputs.weights.data) for row in rows)


class SkyrlPeer:
    """skyrl-tx."""

    threads_variable = "NPROC"
    clip = 0.0
    limits = {"clip": 0.0}

    def load(self, args: argparse.Namespace) -> None:
        """The backend; one more adapter than the pack, as its first stands for the base alone."""
        self.backend = JaxBackend(str(args.model), JaxBackendConfig(max_lora_adapters=args.pack + 1,
                                                                    max_lora_rank=max(args.ranks)))

    def about(self) -> dict[str, str]:
        """Versions."""
        return {name: version(name) for name in ("skyrl-tx", "jax", "flax", "optax")}

    def first_calls(self) -> float:
        """Seconds of all first calls with a length, so far."""
        return sum(self.backend.metrics.train_seq_len_jit_times.values())

    def prepare(self, examples: list[Example]) -> list[types.Datum]:
        """Rows as clients send them."""
        return [datum(example) for example in examples]

    def add_adapter(self, name: str, config: Config, args: argparse.Namespace) -> None:
        """All linear layers of the blocks; drawn from the seed, or PEFT's."""
        self.backend.create_model(name, types.LoraConfig(rank=config.rank, alpha=2.0 * config.rank, seed=config.seed))
        if args.init_adapter:
            with tempfile.TemporaryDirectory() as folder:
                packed = Path(folder) / "adapter.tar.gz"
                with tarfile.open(packed, "w:gz") as tar:
                    tar.add(args.init_adapter, arcname=".")
                self.backend.load_sampler_checkpoint(name, "start", packed)

    def train(self, configs: list[Config], rows: list[types.Datum], valid: list[types.Datum],
              args: argparse.Namespace) -> list[Result]:
        """A pack of adapters side by side."""
        names = [f"trial{i}" for i in range(len(configs))]
        results = [Result(valid_loss=0.0) for _ in configs]
        first_calls = self.first_calls()
        started = time.perf_counter()
        for name, config in zip(names, configs):
            self.add_adapter(name, config, args)
        for step, batch in enumerate(batches_in_order(rows, args.batch_size, args.steps)):
            outputs = self.backend.forward_backward(request(names, batch))
            for name, config, result in zip(names, configs, results):
                result.loss.append(loss_sum(outputs[name]) / loss_tokens(batch))
                adam = types.AdamParams(learning_rate=config.lr * (args.steps - step) / args.steps, beta1=0.9, beta2=0.999,
                                        eps=1e-8, weight_decay=0.0)
                self.backend.optim_step(name, types.OptimStepInput(adam_params=adam))
        trained = time.perf_counter()
        ordered = sorted(valid, key=lambda row: len(row.model_input.chunks[0].tokens))
        for batch in batches_in_order(ordered, args.eval_batch, -(-len(ordered) // args.eval_batch)):
            outputs = self.backend.forward(request(names, batch))
            for name, result in zip(names, results):
                result.valid_loss += loss_sum(outputs[name]) / loss_tokens(ordered)
        for name in names:
            self.backend.delete_model(name)
        first_calls = self.first_calls() - first_calls
        for result in results:
            result.seconds = (trained - started) / len(configs)
            result.eval_seconds = (time.perf_counter() - trained) / len(configs)
            result.first_call_seconds = first_calls / len(configs)
        return results


if __name__ == "__main__":
    main(SkyrlPeer, __doc__)
