"""What bench_generate compares with: transformers' greedy ids for prompts of 1 to 500 tokens, and the time that PEFT takes
for a batch of prompts.

    python generate_peer.py MODEL ROWS.jsonl OUT.json [--new-tokens 32] [--prompts 64]     # transformers 5.23.0, peft 0.21.2

ROWS has a `prompt` a line. The ids are of one prompt at a time; the batch is padded on the left, as transformers wants it.
"""

import argparse
import json
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

LENGTHS = (1, 2, 3, 15, 16, 17, 33, 100, 256, 500)


def greedy(model, ids: torch.Tensor, mask: torch.Tensor, new_tokens: int, **more) -> torch.Tensor:
    with torch.no_grad():
        out = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=new_tokens, pad_token_id=0,
                             **more)
    return out[:, ids.shape[1]:]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model")
    arguments.add_argument("rows")
    arguments.add_argument("out")
    arguments.add_argument("--new-tokens", type=int, default=32)
    arguments.add_argument("--prompts", type=int, default=64)
    given = arguments.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
    rows = [tokenizer(json.loads(line)["prompt"])["input_ids"] for line in open(given.rows)]
    text = sum(rows, [])
    mixed = [text[100 * i: 100 * i + length] for i, length in enumerate(LENGTHS)]
    mixed_ids = [greedy(model, torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), given.new_tokens)[0].tolist()
                 for ids in mixed]
    end = model.generation_config.eos_token_id
    batch = [ids for ids in rows if ids][:given.prompts]
    width = max(map(len, batch))
    ids = torch.tensor([[0] * (width - len(x)) + x for x in batch])
    mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in batch])
    adapted = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")).eval()
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        greedy(adapted, ids, mask, given.new_tokens, min_new_tokens=given.new_tokens)
        times.append(time.perf_counter() - begun)
    json.dump({"new_tokens": given.new_tokens, "end_ids": end if isinstance(end, list) else [end], "mixed": mixed,
               "mixed_ids": mixed_ids, "batch": batch, "seconds": sorted(times)[1]}, open(given.out, "w"))


if __name__ == "__main__":
    main()
