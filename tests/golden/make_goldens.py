"""Makes the goldens that the C++ tests compare with: tiny random checkpoints of every family, their losses, and short
training runs with PEFT and with all weights.

    python make_goldens.py [NAME ...]     # transformers 5.23.0, peft 0.21.2, torch 2.11.0, safetensors 0.8.0

Writes models/NAME/ (config.json, model.safetensors), forward.json, lora/ (the initial and the final adapter,
golden.json) and full_NAME.json; with names those of these models alone, with
`methods` adapters other than plain ones. All arithmetic is fp32 on the CPU, one thread; the semantics are those of DESIGN.md:
loss = sum of token losses / loss tokens of the batch, clipping at 1.0, linear schedule with warm-up, decay on matrices
only for full fine-tuning.
"""

import json
import math
import random
import sys
from pathlib import Path

import torch
import transformers
import peft
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
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
    "gemma": dict(model_type="gemma", head_dim=10, tie_word_embeddings=True),
    "gemma2": dict(model_type="gemma2", head_dim=10, sliding_window=8, query_pre_attn_scalar=7, tie_word_embeddings=True,
                   attn_logit_softcapping=1.5, final_logit_softcapping=4.0),
    "gemma3_text": dict(model_type="gemma3_text", head_dim=10, sliding_window=8, query_pre_attn_scalar=7, num_hidden_layers=3,
                        sliding_window_pattern=3, tie_word_embeddings=True, rope_scaling={"rope_type": "linear", "factor": 3.0}),
    "gemma3": dict(model_type="gemma3", tie_word_embeddings=True,
                   text_config=COMMON | dict(head_dim=10, sliding_window=8, query_pre_attn_scalar=7, tie_word_embeddings=True,
                                             layer_types=["sliding_attention", "full_attention"]),
                   vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                                      image_size=28, patch_size=14), mm_tokens_per_image=4),
    "granite": dict(model_type="granite", attention_bias=True, mlp_bias=True, embedding_multiplier=6.0, residual_multiplier=0.4,
                    attention_multiplier=0.3, logits_scaling=2.5, attention_dropout=0.1),
    "olmo2": dict(model_type="olmo2"),
    "phi3": dict(model_type="phi3", num_attention_heads=4, num_key_value_heads=2, pad_token_id=0, partial_rotary_factor=0.67,
                 sliding_window=21, original_max_position_embeddings=20,
                 rope_scaling={"type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 5.5]}),
    "smollm3": dict(model_type="smollm3", num_hidden_layers=3, no_rope_layer_interval=2, pad_token_id=0, use_sliding_window=True,
                    sliding_window=8, tie_word_embeddings=True),
}
# What is trained, beside llama with LoRA in two ways.
LORA_FAMILIES = ("gemma", "gemma2", "gemma3_text", "granite", "olmo2", "phi3", "smollm3")
FULL_FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "granite", "olmo2", "phi3", "smollm3")


def make_model(name: str, options: dict) -> torch.nn.Module:
    """A random checkpoint with weights large enough that every part of the model shows in the loss."""
    torch.manual_seed(sum(map(ord, name)))
    options = COMMON | options
    config = AutoConfig.for_model(options.pop("model_type"), **options)
    # Only eager attention has soft caps.
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            tensor.normal_(0, 0.5 / math.sqrt(tensor.shape[-1]) * 2 if tensor.dim() > 1 else 0.2)
            if "norm" in key and "gemma" not in name:  # theirs multiply by 1 + w
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


def train(model, examples, steps, batch, lr, warmup, schedule, decay, full, rate_ratio=1.0) -> dict:
    """The loop of the contract; returns what each step reports."""
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in params if not full or p.dim() >= 2], "weight_decay": decay},
              {"params": [p for p in params if full and p.dim() < 2], "weight_decay": 0.0}]
    if rate_ratio == 1:
        optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr)
    else:
        optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=lr, loraplus_lr_ratio=rate_ratio,
                                              loraplus_weight_decay=decay)
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


def name_base_without_folder(path: Path, base: str) -> None:
    """PEFT writes the path of this checkout."""
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = f"models/{base}"
    path.write_text(json.dumps(config, indent=2))


def load(name: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(HERE / "models" / name, dtype=torch.float32, attn_implementation="eager")


def train_adapter(name: str, base: str, config: dict, schedule: str, decay: float, training, held_out,
                  rate_ratio: float = 1.0, lr: float = 0.02) -> None:
    torch.manual_seed(5)
    model = get_peft_model(load(base).requires_grad_(False), LoraConfig(task_type="CAUSAL_LM", **config))
    pissa = config.get("init_lora_weights") == "pissa"  # begins from the base alone
    (HERE / "lora" / name).mkdir(exist_ok=True)
    if not pissa:
        model.save_pretrained(HERE / "lora" / name / "initial")
    result = train(model, training, 20, 4, lr, 0.1, schedule, decay, False, rate_ratio)
    if not pissa:
        model.save_pretrained(HERE / "lora" / name / "final")
    result["valid_loss"] = valid_loss(model, held_out)
    write(HERE / "lora" / name / "golden.json", {"model": base, "examples": training, "held_out": held_out,
                                                 "schedule": schedule, "weight_decay": decay, "batch_size": 4, "steps": 20,
                                                 "learning_rate_peak": lr, "warmup_ratio": 0.1, "rank": config["r"],
                                                 "alpha": config["lora_alpha"], "rate_ratio": rate_ratio,
                                                 "init": "pissa" if pissa else "default"} | result)
    for stage in () if pissa else ("initial", "final"):
        name_base_without_folder(HERE / "lora" / name / stage / "adapter_config.json", base)
        (HERE / "lora" / name / stage / "README.md").unlink(missing_ok=True)


def train_all_weights(name: str, training, held_out) -> None:
    model = load(name)
    result = train(model, training, 10, 4, 0.003, 0.1, "linear", 0.1, True)
    result["valid_loss"] = valid_loss(model, held_out)
    tied = model.config.tie_word_embeddings
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")},
              HERE / f"full_{name}.safetensors")
    write(HERE / f"full_{name}.json", {"examples": training, "held_out": held_out, "batch_size": 4, "steps": 10,
                                       "learning_rate_peak": 0.003, "warmup_ratio": 0.1, "weight_decay": 0.1} | result)


def methods(training, held_out) -> None:
    """Other adapters than plain ones."""
    everywhere = dict(r=4, lora_alpha=8, target_modules="all-linear")
    train_adapter("dora", "llama", everywhere | dict(use_dora=True), "linear", 0.01, training, held_out)
    train_adapter("dora_phi3", "phi3", everywhere | dict(use_dora=True, use_rslora=True), "cosine", 0.0, training, held_out)
    both = everywhere | dict(modules_to_save=["embed_tokens", "lm_head"])
    train_adapter("saved", "llama", both, "linear", 0.01, training, held_out)
    train_adapter("saved_phi3", "phi3", both | dict(modules_to_save=["embed_tokens"]), "cosine", 0.02, training, held_out,
                  rate_ratio=4.0, lr=0.01)
    train_adapter("saved_granite", "granite", both | dict(use_dora=True), "linear", 0.01, training, held_out)
    own = dict(rank_pattern={r"layers\.1\.self_attn\.q_proj": 7, "down_proj": 2}, alpha_pattern={"q_proj": 3, "0.mlp.up_proj": 24})
    train_adapter("patterns", "llama", everywhere | own, "linear", 0.01, training, held_out)
    train_adapter("patterns_dora", "phi3", everywhere | dict(rank_pattern={"qkv_proj": 6}, alpha_pattern={"o_proj": 3},
                                                             use_dora=True, use_rslora=True), "cosine", 0.0, training, held_out)
    train_adapter("loraplus", "llama", everywhere, "linear", 0.01, training, held_out, rate_ratio=4.0, lr=0.01)
    train_adapter("pissa", "llama", everywhere | dict(init_lora_weights="pissa"), "linear", 0.01, training, held_out, lr=0.005)


def main() -> None:
    chosen = [name for name in sys.argv[1:] if name != "methods"] if sys.argv[1:] else list(MODELS)
    examples = make_examples(1, [1, 2, 3, 5, 8, 13, 19, 24, 31, 40])
    path = HERE / "forward.json"
    forward = json.loads(path.read_text()) if sys.argv[1:] else {"examples": examples, "nll": {}}
    for name in chosen:
        model = make_model(name, MODELS[name])
        with torch.no_grad():
            forward["nll"][name] = [nll(model, e).item() if len(e["ids"]) > 1 else 0.0 for e in examples]
    write(path, {"examples": examples, "nll": {name: forward["nll"][name] for name in MODELS}})

    training = make_examples(2, [4, 9, 17, 6, 12, 3, 21, 7, 10, 15, 5, 8])
    held_out = make_examples(3, [6, 11, 14])
    everywhere = dict(r=8, lora_alpha=16, target_modules="all-linear")
    if "llama" in chosen:
        train_adapter("plain", "llama", everywhere, "linear", 0.0, training, held_out)
        some = dict(r=5, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"])
        train_adapter("rslora", "llama", some, "cosine", 0.01, training, held_out)
        methods(training, held_out)
    if "methods" in sys.argv:
        methods(training, held_out)
    for name in chosen:
        if name in LORA_FAMILIES:
            train_adapter(name, name, everywhere | dict(r=3), "linear", 0.0, training, held_out)
        if name in FULL_FAMILIES:
            train_all_weights(name, training, held_out)


if __name__ == "__main__":
    main()
