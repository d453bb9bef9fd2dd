"""Greedy continuations by transformers of the tiny checkpoints in models/, with and without the adapters in lora/.

    python generate.py        # transformers 5.23.0, peft 0.21.2, torch 2.11.0

Writes generate.json: prompts of 1 to 40 tokens, and for each model the new ids of generate(do_sample=False), the end
token kept. Prompts after which the best token leads by less than kMargin somewhere are left out, so that ids do not
hang on the last bits of a sum.
"""

import json
import random
from pathlib import Path

import peft
import torch
import transformers
from transformers import AutoModelForCausalLM

from make_goldens import HERE, MODELS, write

MARGIN, NEW_TOKENS = 1e-3, 20
torch.set_num_threads(1)


def continued(model, ids: list[int]) -> list[int] | None:
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                         max_new_tokens=NEW_TOKENS, eos_token_id=2, pad_token_id=0, output_logits=True,
                         return_dict_in_generate=True)
    top = torch.stack(out.logits)[:, 0].topk(2).values
    return out.sequences[0, len(ids):].tolist() if (top[:, 0] - top[:, 1]).min() > MARGIN else None


def main() -> None:
    rng = random.Random(4)
    prompts = [[rng.randrange(61) for _ in range(length)] for length in (1, 1, 1, 2, 3, 5, 8, 13, 15, 16, 17, 24, 31, 32, 40, 40)]
    models = {name: None for name in MODELS} | {"llama+plain": "plain", "llama+rslora": "rslora", "llama+dora": "dora", "phi3+dora_phi3": "dora_phi3",
                                                  "llama+saved": "saved", "granite+saved_granite": "saved_granite", "llama+patterns": "patterns"}
    continuations = {}
    for name, adapter in models.items():
        model = AutoModelForCausalLM.from_pretrained(HERE / "models" / name.split("+")[0], dtype=torch.float32).eval()
        if adapter:
            model = peft.PeftModel.from_pretrained(model, HERE / "lora" / adapter / "final").eval()
        with torch.no_grad():
            continuations[name] = [continued(model, ids) for ids in prompts]
        left = [c for c in continuations[name] if c]
        print(name, len(left), "of", len(prompts), "lengths", sorted(len(c) for c in left))
    write(HERE / "generate.json", {"max_new_tokens": NEW_TOKENS, "end_ids": [2], "prompts": prompts, "ids": continuations})


if __name__ == "__main__":
    main()
