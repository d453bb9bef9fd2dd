#!/usr/bin/env python3
"""One LoRA trial of a given shape in transformers and PEFT, random weights, random rows: what bench_gpu is compared with.
Rank 16 on every linear layer, bf16 base, fp32 adapters, fused AdamW, SDPA attention, no checkpointing; when memory runs out
the micro-batch is halved and gradients are accumulated. Prints one JSON object."""

from __future__ import annotations

import argparse
import json
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

# family, hidden, feed-forward, layers, heads, key/value heads, head size, vocabulary, tied head
SHAPES = {
    "tiny": ("llama", 64, 96, 2, 4, 2, 16, 257, True),
    "qwen2.5-0.5b": ("qwen2", 896, 4864, 24, 14, 2, 64, 151936, True),
    "qwen3-0.6b": ("qwen3", 1024, 3072, 28, 16, 8, 128, 151936, True),
    "llama-3.2-1b": ("llama", 2048, 8192, 16, 32, 8, 64, 128256, True),
    "qwen2.5-1.5b": ("qwen2", 1536, 8960, 28, 12, 2, 128, 151936, True),
    "qwen3-1.7b": ("qwen3", 2048, 6144, 28, 16, 8, 128, 151936, True),
    "qwen3-4b": ("qwen3", 2560, 9728, 36, 32, 8, 128, 151936, True),
    "qwen2.5-7b": ("qwen2", 3584, 18944, 28, 28, 4, 128, 152064, False),
    "llama-3.1-8b": ("llama", 4096, 14336, 32, 32, 8, 128, 128256, False),
}


def build(args: argparse.Namespace) -> torch.nn.Module:
    """The model with its adapter on the device."""
    family, hidden, forward, layers, heads, kv_heads, head_dim, vocabulary, tied = SHAPES[args.shape]
    config = AutoConfig.for_model(
        family, vocab_size=vocabulary, hidden_size=hidden, intermediate_size=forward, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim, tie_word_embeddings=tied,
        max_position_embeddings=4096)
    with torch.device(args.device):
        torch.set_default_dtype(torch.bfloat16)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        torch.set_default_dtype(torch.float32)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model.train()


def rows_of(args: argparse.Namespace, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, int]:
    """A step's rows, padded to the longest, labels, and the tokens that are not padding."""
    vocabulary = SHAPES[args.shape][7]
    lengths = torch.randint(args.shortest, args.longest + 1, (args.batch,), generator=generator)
    ids = torch.randint(vocabulary, (args.batch, int(lengths.max())), generator=generator)
    labels = ids.masked_fill(torch.arange(ids.shape[1])[None] >= lengths[:, None], -100)
    return ids.to(args.device), labels.to(args.device), int(lengths.sum())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--shortest", type=int, default=1024)
    parser.add_argument("--longest", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=0, help="rows of a step (0: from --tokens-per-step)")
    parser.add_argument("--tokens-per-step", type=int, default=16384)
    parser.add_argument("--steps", type=int, default=15)
    args = parser.parse_args()
    args.batch = args.batch or max(1, args.tokens_per_step // args.longest)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = build(args)
    trained = [p for p in model.parameters() if p.requires_grad]
    cuda = args.device.startswith("cuda")
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0, fused=cuda)
    micro, losses, seconds, tokens, warm = args.batch, [], 0.0, 0, 3
    step = 0
    while step < args.steps:
        ids, labels, count = rows_of(args, generator)
        if cuda:
            torch.cuda.synchronize()
        started = time.perf_counter()
        try:
            total = torch.zeros((), device=args.device)
            for first in range(0, args.batch, micro):
                part = slice(first, first + micro)
                with torch.autocast(args.device.split(":")[0], dtype=torch.bfloat16):
                    loss = model(input_ids=ids[part], labels=labels[part]).loss * len(ids[part]) / args.batch
                loss.backward()
                total += loss.detach()
        except torch.cuda.OutOfMemoryError:
            if micro == 1:
                raise
            micro = max(1, micro // 2)
            optimizer.zero_grad()
            torch.cuda.empty_cache()
            continue
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(total))  # waits for the device
        if step >= warm:
            seconds += time.perf_counter() - started
            tokens += count
        step += 1
    print(json.dumps({"tokens_per_second": tokens / seconds, "step_ms": 1e3 * seconds / (args.steps - warm),
                      "micro_batch": micro, "batch": args.batch, "first_loss": losses[0], "last_loss": losses[-1],
                      "gradient_norm": float(norm), "shape": args.shape, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
