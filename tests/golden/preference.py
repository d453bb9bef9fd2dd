"""Makes the goldens of objectives over preferences: what TRL's own trainers report, step by step.

    python preference.py     # trl 1.16.0, transformers 5.23.0, peft 0.21.2, torch 2.11.0

Writes preference/ (two adapters to start from, fresh and one that has learned, and NAME.json of each run): loss, norm and rate of ten
steps of LoRA on models/llama, batches in file order, and the loss of the held-out examples as one batch. All arithmetic is fp32 on the
CPU, one thread.
"""

import json
import random
import tempfile
from pathlib import Path

import peft
import tokenizers
import torch
import transformers
import trl
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

HERE = Path(__file__).parent
OUT = HERE / "preference"
VERSIONS = {"trl": trl.__version__, "transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
BATCH, STEPS, RATE, EOS = 4, 10, 0.01, 2
RUNS = {  # name: trainer, its configuration, its own options, the adapter it starts from
    "dpo": (trl.DPOTrainer, trl.DPOConfig, dict(beta=0.3), "fresh"),
    "dpo_learned": (trl.DPOTrainer, trl.DPOConfig, dict(beta=0.2), "learned"),
    "kto": (trl.KTOTrainer, trl.KTOConfig, dict(beta=0.3), "fresh"),
    "orpo": (ORPOTrainer, ORPOConfig, dict(beta=0.4), "fresh"),
    "simpo": (CPOTrainer, CPOConfig, dict(beta=2.0, simpo_gamma=0.5, loss_type="simpo", cpo_alpha=0.0), "fresh"),
}
torch.set_num_threads(1)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A word is a token: t5 is id 5."""
    vocab = {f"t{i}": i for i in range(61)} | {"</s>": EOS}
    del vocab[f"t{EOS}"]
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="t0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", pad_token="t0")


def rows(seed: int, count: int, labelled: bool) -> list[dict]:
    rng = random.Random(seed)

    def words(low: int, high: int) -> list[int]:
        return [rng.randrange(3, 61) for _ in range(rng.randint(low, high))]

    out = []
    for i in range(count):
        row = {"prompt": words(2, 9)}
        row |= {"completion": words(1, 8), "label": i % 3 != 1} if labelled else {"chosen": words(1, 8), "rejected": words(1, 8)}
        out.append(row)
    return out


def as_text(row: dict) -> dict:
    text = {k: v if isinstance(v, bool) else " ".join(f"t{i}" for i in v) for k, v in row.items()}
    return text | {"prompt": text["prompt"] + " "}


def as_example(row: dict, learns_chosen: bool) -> dict:
    """Sequences one behind the other, as data/example.h has them."""
    example = {"ids": [], "loss": [], "ends": [], "answers": [], "desirable": row.get("label", True)}
    for key in [k for k in ("completion", "chosen", "rejected") if k in row]:
        answer = row[key] + [EOS]
        in_prompt = 1 if learns_chosen and key == "chosen" else 0
        example["answers"].append(len(example["ids"]) + len(row["prompt"]))
        example["ids"] += row["prompt"] + answer
        example["loss"] += [0] + [in_prompt] * (len(row["prompt"]) - 1) + [1] * len(answer)
        example["ends"].append(len(example["ids"]))
    return example


def make_adapters() -> None:
    for name in ("fresh", "learned"):
        torch.manual_seed(7)
        base = AutoModelForCausalLM.from_pretrained(HERE / "models" / "llama", dtype=torch.float32)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear"))
        if name == "learned":
            for key, tensor in model.named_parameters():
                if "lora_B" in key:
                    torch.nn.init.normal_(tensor, 0, 0.05)
        model.save_pretrained(OUT / name)
        path = OUT / name / "adapter_config.json"  # PEFT writes the path of this checkout
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "models/llama"}, indent=2))
        (OUT / name / "README.md").unlink(missing_ok=True)


def run(name: str) -> dict:
    trainer_type, config_type, options, start = RUNS[name]
    labelled = name == "kto"
    training, held_out = rows(2, 12, labelled), rows(3, BATCH, labelled)
    base = AutoModelForCausalLM.from_pretrained(HERE / "models" / "llama", dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, OUT / start, is_trainable=True)
    with tempfile.TemporaryDirectory() as folder:
        config = config_type(output_dir=folder, per_device_train_batch_size=BATCH, per_device_eval_batch_size=BATCH, max_steps=STEPS,
                             learning_rate=RATE, lr_scheduler_type="linear", warmup_steps=1, weight_decay=0.0, max_grad_norm=1.0,
                             logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False,
                             train_sampling_strategy="sequential", max_length=60, disable_dropout=True, **options)
        trainer = trainer_type(model=model, args=config, processing_class=make_tokenizer(),
                               train_dataset=Dataset.from_list([as_text(r) for r in training]),
                               eval_dataset=Dataset.from_list([as_text(r) for r in held_out]))
        losses = []
        whole = trainer.compute_loss

        def compute_loss(*args, **kwargs):  # what is logged is rounded
            loss = whole(*args, **kwargs)
            losses.append(loss.item())
            return loss

        trainer.compute_loss = compute_loss
        trainer.train()
        steps = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
        metrics = trainer.evaluate()
    accuracy = "eval_rewards/accuracies"
    return {"objective": name.split("_")[0], "start": start, "beta": options["beta"], "gamma": options.get("simpo_gamma", 0.5),
            "batch_size": BATCH, "steps": STEPS, "learning_rate_peak": RATE, "warmup_ratio": 0.1, "weight_decay": 0.0,
            "examples": [as_example(r, name == "orpo") for r in training],
            "held_out": [as_example(r, name == "orpo") for r in held_out],
            "train_loss": losses[:STEPS], "grad_norm": [float(s["grad_norm"]) for s in steps],
            "learning_rate": [s["learning_rate"] for s in steps], "valid_loss": metrics["eval_loss"],
            "valid_margin": metrics["eval_rewards/margins"]} | ({"valid_accuracy": metrics[accuracy]} if accuracy in metrics else {})


def main() -> None:
    OUT.mkdir(exist_ok=True)
    make_adapters()
    for name in RUNS:
        (OUT / f"{name}.json").write_text(json.dumps({"versions": VERSIONS} | run(name)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
