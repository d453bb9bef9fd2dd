"""Makes the goldens of quantised bases: what bitsandbytes' nf4 and int8 make of matrices, and what transformers and PEFT
compute with them.

    python quantize.py      # bitsandbytes 0.50.2 on a CPU, transformers 5.23.0, peft 0.21.2, torch 2.11.0, safetensors 0.8.0
    python quantize.py MODEL KIND OUT     # a checkpoint with dequantised projections, KIND as below

Writes quantized.safetensors (matrices and their numbers), quantized.json (losses of random checkpoints in models/) and
lora/KIND (a short run with PEFT on a
dequantised base).
"""

import json
import sys
from pathlib import Path

import bitsandbytes
import bitsandbytes.functional as F
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from safetensors.torch import load_file, save_file

import make_goldens as goldens

HERE = Path(__file__).parent
KINDS = ("nf4", "nf4_doubled", "int8")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj")


def dequantized(weight: torch.Tensor, kind: str) -> torch.Tensor:
    """In fp32, of a matrix of any dtype."""
    if kind == "int8":
        codes, absmax, _ = F.int8_vectorwise_quant(weight.half())
        return F.int8_vectorwise_dequant(codes, absmax)
    codes, state = F.quantize_4bit(weight.contiguous(), quant_type="nf4", compress_statistics=kind == "nf4_doubled")
    absmax = state.absmax
    if state.nested:
        absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset
    numbers = _dequantize_4bit_compute(codes.reshape(-1), absmax, state.code, 64, weight.shape, torch.float32)
    # The kernel for processors with AVX-512 finds a block's scale only where rows are whole blocks.
    if weight.shape[-1] % 64 == 0:
        state.dtype = torch.float32
        assert torch.equal(F.dequantize_4bit(codes, state), numbers)
    return numbers


def matrices() -> dict[str, torch.Tensor]:
    """Odd sizes, rows that are whole blocks or not, a block and a row of zeros, large and small numbers."""
    generator = torch.Generator().manual_seed(7)
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    zeros = normal(3, 128)
    zeros[1] = 0
    return {"odd": normal(5, 37), "half": (normal(160, 130) * 0.05).bfloat16(), "whole": normal(6, 64).half(),
            "zeros": zeros, "small": normal(2, 96) * 1e-7, "scales": normal(24, 48) * torch.logspace(-3, 3, 24)[:, None]}


def write_matrices() -> None:
    tensors = {}
    for name, weight in matrices().items():
        tensors[name] = weight
        for kind in KINDS:
            tensors[f"{name}.{kind}"] = dequantized(weight, kind)
    save_file(tensors, HERE / "quantized.safetensors")


def is_projection(name: str) -> bool:
    return name.endswith(".weight") and name.split(".")[-2] in PROJECTIONS


def quantize_model(model: torch.nn.Module, kind: str) -> torch.nn.Module:
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if is_projection(name):
                tensor.copy_(dequantized(tensor, kind))
    return model


def quantize_folder(folder: Path, kind: str, out: Path) -> None:
    """In fp32, from the numbers in the file."""
    out.mkdir(parents=True)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        tensors[name] = dequantized(tensor, kind) if is_projection(name) else tensor.float()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    for file in folder.iterdir():
        if file.suffix in (".json", ".txt", ".jinja") and "safetensors" not in file.name:
            (out / file.name).write_bytes(file.read_bytes())
    config = json.loads((out / "config.json").read_text())
    config["torch_dtype"] = config["dtype"] = "float32"
    (out / "config.json").write_text(json.dumps(config, indent=2))


def main() -> None:
    goldens.VERSIONS["bitsandbytes"] = bitsandbytes.__version__
    write_matrices()
    forward = json.loads((HERE / "forward.json").read_text())
    losses = {}
    for name in ("llama", "gemma3_text", "phi3"):
        for kind in KINDS:
            model = quantize_model(goldens.load(name), kind)
            with torch.no_grad():
                losses[f"{name}.{kind}"] = [goldens.nll(model, e).item() for e in forward["examples"]]
    goldens.write(HERE / "quantized.json", {"nll": losses})
    for name, kind in (("llama", "nf4_doubled"), ("phi3", "int8")):
        train_adapter(name, kind)


def train_adapter(name: str, kind: str) -> None:
    examples = json.loads((HERE / "lora" / "plain" / "golden.json").read_text())
    load, goldens.load = goldens.load, lambda base: quantize_model(load(base), kind)
    goldens.train_adapter(kind, name, dict(r=3, lora_alpha=16, target_modules="all-linear"), "linear", 0.0,
                          examples["examples"], examples["held_out"])
    goldens.load = load
    path = HERE / "lora" / kind / "golden.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantize": kind}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        quantize_folder(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    else:
        main()
