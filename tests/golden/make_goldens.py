"""Makes the goldens that the C++ tests compare with: tiny random checkpoints of every family, their losses, and short
training runs with PEFT and with all weights.

    python make_goldens.py        # transformers 5.23.0, peft 0.21.2, torch 2.11.0, safetensors 0.8.0

Writes models/NAME/ (config.json, model.safetensors), forward.json, lora/ (the initial and the final adapter,
golden.json) and full_NAME.json. All arithmetic is fp32 on the CPU, one thread; the semantics are those of DESIGN.md:
loss = sum of token losses / loss tokens of the batch, clipping at 1.0, linear schedule with warm-up, decay on matrices
only for full fine-tuning.
"""

import json
import math
import random
from pathlib import Path

import torch
import transformers
import peft
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, get_scheduler

HERE = Path(__file__).parent
torch.set_num_threads(1)
VERSIONS = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
COMMON = dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
              num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
MODELS = {
    "llama": dict(model_type="llama", head_dim=4, attention_bias=True, mlp_bias=True),
    "mistral": dict(model_type="mistral", head_dim=6, sliding_window=8),
    "qwen2": dict(model_type="qwen2", tie_word_embeddings=True),
    "qwen3": dict(model_type="qwen3", head_dim=10),
    "llama_linear": dict(model_type="llama", rope_scaling={"rope_type": "linear", "factor": 3.0}),
    "llama_dynamic": dict(model_type="llama", rope_scaling={"rope_type": "dynamic", "factor": 2.0}),
    "llama_llama3": dict(model_type="llama", head_dim=16, rope_theta=5000.0,
                         rope_scaling={"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
                                       "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    "llama_yarn": dict(model_type="llama", head_dim=16,
                       rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}),
}


def make_model(name: str, options: dict) -> torch.nn.Module:
    """A random checkpoint with weights large enough that every part of the model shows in the loss."""
    torch.manual_seed(sum(map(ord, name)))
    options = COMMON | options
    config = AutoConfig.for_model(options.pop("model_type"), **options)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            tensor.normal_(0, 0.5 / math.sqrt(tensor.shape[-1]) * 2 if tensor.dim() > 1 else 0.2)
            if "norm" in key:
                tensor.add_(1)
    model.save_pretrained(HERE / "models" / name)
    for extra in ("generation_config.json",):
        (HERE / "models" / name / extra).unlink(missing_ok=True)
    return model.eval()


def make_examples(seed: int, lengths: list[int]) -> list[dict]:
    """Ids and loss flags; about a third of the tokens carries no loss."""
    rng = random.Random(seed)
    examples = []
    for length in lengths:
        ids = [rng.randrange(COMMON["vocab_size"]) for _ in range(length)]
        loss = [0] + [int(rng.random() < 0.7) for _ in range(length - 1)]
        loss[-1] = int(length > 1)
        examples.append({"ids": ids, "loss": loss})
    return examples


def nll(model: torch.nn.Module, example: dict) -> torch.Tensor:
    """Sum of the NLL of the loss tokens of one example, no padding."""
    ids = torch.tensor([example["ids"]])
    logits = model(input_ids=ids).logits[0, :-1].float()
    losses = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
    return (losses * torch.tensor(example["loss"][1:], dtype=losses.dtype)).sum()


def train(model, examples, steps, batch, lr, warmup, schedule, decay, full) -> dict:
    """The loop of the contract; returns what each step reports."""
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in params if not full or p.dim() >= 2], "weight_decay": decay},
              {"params": [p for p in params if full and p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr)
    scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=math.ceil(warmup * steps), num_training_steps=steps)
    out = {"train_loss": [], "grad_norm": [], "learning_rate": []}
    for step in range(steps):
        chosen = [examples[(step * batch + k) % len(examples)] for k in range(batch)]
        loss = sum(nll(model, e) for e in chosen) / sum(sum(e["loss"]) for e in chosen)
        loss.backward()
        out["grad_norm"].append(torch.nn.utils.clip_grad_norm_(params, 1.0).item())
        out["train_loss"].append(loss.item())
        out["learning_rate"].append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return out


def valid_loss(model, examples) -> float:
    with torch.no_grad():
        return (sum(nll(model, e).double() for e in examples) / sum(sum(e["loss"]) for e in examples)).item()


def write(path: Path, data: dict) -> None:
    path.write_text(json.dumps({"versions": VERSIONS} | data) + "\n", encoding="utf-8")


def name_base_without_folder(path: Path) -> None:
    """PEFT writes the path of this checkout."""
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = "models/llama"
    path.write_text(json.dumps(config, indent=2))


def main() -> None:
    examples = make_examples(1, [1, 2, 3, 5, 8, 13, 19, 24, 31, 40])
    forward = {"examples": examples, "nll": {}}
    for name, options in MODELS.items():
        model = make_model(name, options)
        with torch.no_grad():
            forward["nll"][name] = [nll(model, e).item() if len(e["ids"]) > 1 else 0.0 for e in examples]
    write(HERE / "forward.json", forward)

    training = make_examples(2, [4, 9, 17, 6, 12, 3, 21, 7, 10, 15, 5, 8])
    held_out = make_examples(3, [6, 11, 14])
    lora_runs = {"plain": dict(config=dict(r=8, lora_alpha=16, target_modules="all-linear"), schedule="linear", decay=0.0),
                 "rslora": dict(config=dict(r=5, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"]),
                                schedule="cosine", decay=0.01)}
    for name, run in lora_runs.items():
        base = AutoModelForCausalLM.from_pretrained(HERE / "models" / "llama", dtype=torch.float32).requires_grad_(False)
        torch.manual_seed(5)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **run["config"]))
        model.save_pretrained(HERE / "lora" / name / "initial")
        result = train(model, training, 20, 4, 0.02, 0.1, run["schedule"], run["decay"], False)
        model.save_pretrained(HERE / "lora" / name / "final")
        result["valid_loss"] = valid_loss(model, held_out)
        write(HERE / "lora" / name / "golden.json", {"examples": training, "held_out": held_out, "schedule": run["schedule"],
                                                     "weight_decay": run["decay"], "batch_size": 4, "steps": 20,
                                                     "learning_rate_peak": 0.02, "warmup_ratio": 0.1} | result)
        for stage in ("initial", "final"):
            name_base_without_folder(HERE / "lora" / name / stage / "adapter_config.json")
            (HERE / "lora" / name / stage / "README.md").unlink(missing_ok=True)
    for name in ("llama", "qwen2", "qwen3"):
        model = AutoModelForCausalLM.from_pretrained(HERE / "models" / name, dtype=torch.float32)
        result = train(model, training, 10, 4, 0.003, 0.1, "linear", 0.1, True)
        result["valid_loss"] = valid_loss(model, held_out)
        save_file({k: v.contiguous() for k, v in model.state_dict().items() if not (name == "qwen2" and k == "lm_head.weight")},
                  HERE / f"full_{name}.safetensors")
        write(HERE / f"full_{name}.json", {"examples": training, "held_out": held_out, "batch_size": 4, "steps": 10,
                                           "learning_rate_peak": 0.003, "warmup_ratio": 0.1, "weight_decay": 0.1} | result)


if __name__ == "__main__":
    main()
