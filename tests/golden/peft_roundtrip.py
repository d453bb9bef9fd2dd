"""Adapters and merged weights as PEFT writes them, and the check that PEFT and transformers read what we write.

    python peft_roundtrip.py make                       # writes adapters/ beside this file
    python peft_roundtrip.py adapter BASE ADAPTER OURS  # both adapters load, and compute the same on BASE
    python peft_roundtrip.py merged BASE ADAPTER OUT    # OUT computes what ADAPTER on BASE does

transformers 5.23.0, peft 0.21.2, torch 2.11.0. `make` uses models/llama (see make_goldens.py).
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
torch.set_num_threads(1)
CASES = {
    "plain": dict(r=3, lora_alpha=7, lora_dropout=0.1, target_modules=["q_proj", "mlp.down_proj"]),
    "rslora": dict(r=4, lora_alpha=8, use_rslora=True, target_modules="all-linear"),
    "pattern": dict(r=2, lora_alpha=3, target_modules=r".*\.(self_attn|mlp)\.(?P<which>k|v|gate)_proj"),
}


def base(path: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def make() -> None:
    """Each case: the adapter, and for two projections the sum of the merged weight and a few of its elements."""
    for name, options in CASES.items():
        torch.manual_seed(len(name))
        model = get_peft_model(base(HERE / "models" / "llama"), LoraConfig(task_type="CAUSAL_LM", **options))
        with torch.no_grad():
            for key, tensor in model.named_parameters():
                if "lora_" in key:
                    tensor.normal_(0, 0.3)
        folder = HERE / "adapters" / name
        shutil.rmtree(folder, ignore_errors=True)
        model.peft_config["default"].base_model_name_or_path = "models/llama"
        model.save_pretrained(folder)
        (folder / "README.md").unlink()
        merged = model.merge_and_unload().state_dict()
        names = [key for key in merged if key.endswith("_proj.weight")]
        golden = {key: [merged[key].double().sum().item()] + merged[key].flatten()[::97].double().tolist() for key in names}
        (folder / "merged.json").write_text(json.dumps(golden).replace('"model', '\n"model') + "\n")


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(24)[None] * 5 % model.config.vocab_size
    with torch.no_grad():
        return model(ids).logits.float()


def worst(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


def check_adapter(base_path: str, expected: str, ours: str) -> None:
    a, b = load_file(f"{expected}/adapter_model.safetensors"), load_file(f"{ours}/adapter_model.safetensors")
    assert a.keys() == b.keys(), sorted(a.keys() ^ b.keys())
    assert all(torch.equal(a[key].float(), b[key]) for key in a)
    outputs = [logits(PeftModel.from_pretrained(base(base_path), path)) for path in (expected, ours)]
    assert torch.equal(*outputs)
    assert not torch.equal(outputs[0], logits(base(base_path))), "the adapter does nothing"
    print("adapter: same tensors, same logits")


def check_merged(base_path: str, adapter: str, out: str) -> None:
    model, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info.values()), info
    difference = worst(logits(model), logits(PeftModel.from_pretrained(base(base_path), adapter)))
    print(f"merged: {model.dtype}, logits differ by {difference:.1e} of the largest")
    assert difference < (3e-5 if model.dtype == torch.float32 else 3e-2)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:] or ["help"]
    {"make": make, "adapter": check_adapter, "merged": check_merged, "help": lambda: print(__doc__)}[verb](*arguments)
