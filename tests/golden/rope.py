"""Rotary frequencies as transformers computes them, for tests/models/test_families.cpp.

    python rope.py        # transformers 5.23.0, torch 2.11.0; writes rope.json beside this file

Each case is a config.json in the spelling of transformers 4 or 5, the frequencies (fp32, printed so that they read back
as the same number) and the factor on cos and sin.
"""

import json
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

transformers.logging.set_verbosity_error()
warnings.simplefilter("ignore")
torch.set_num_threads(1)
SIZES = dict(model_type="llama", vocab_size=64, hidden_size=256, intermediate_size=64, num_hidden_layers=2,
             num_attention_heads=4, max_position_embeddings=4096)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 512}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
CASES = {
    "default": {},
    "theta of version 4": {"rope_theta": 500000.0},
    "theta of version 5": {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}},
    "theta beside rope_parameters": {"rope_parameters": {"rope_type": "default"}, "rope_theta": 2000.0},
    "old key wins": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "rope_theta": 3000.0,
                     "rope_parameters": {"rope_type": "linear", "factor": 7.0, "rope_theta": 4000.0}},
    "empty old key": {"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 7.0, "rope_theta": 4000.0}},
    "head_dim": {"head_dim": 80},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "linear by type": {"rope_scaling": {"type": "linear", "factor": 2.5}, "rope_theta": 20000.0},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "llama3": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "llama3 of version 5": {"rope_parameters": LLAMA3 | {"rope_theta": 500000.0}, "head_dim": 128},
    "llama3 without original": {"rope_scaling": {k: v for k, v in LLAMA3.items() if k[0] != "o"}},
    "llama3 original on top": {"rope_scaling": LLAMA3, "original_max_position_embeddings": 256},
    "yarn": {"rope_scaling": YARN},
    "yarn of version 5": {"rope_parameters": YARN | {"rope_theta": 1000000.0}, "head_dim": 128},
    "yarn untruncated": {"rope_scaling": YARN | {"truncate": False}},
    "yarn betas": {"rope_scaling": YARN | {"beta_fast": 16.0, "beta_slow": 2.0}},
    "yarn attention_factor": {"rope_scaling": YARN | {"attention_factor": 1.25}},
    "yarn mscale": {"rope_scaling": YARN | {"mscale": 0.8, "mscale_all_dim": 0.5}},
    "yarn factor null": {"rope_scaling": YARN | {"factor": None}},
}


def main() -> None:
    cases = []
    for name, keys in CASES.items():
        config = SIZES | keys
        rotary = LlamaRotaryEmbedding(AutoConfig.for_model(**json.loads(json.dumps(config))))
        cases.append({"name": name, "config": config, "frequencies": rotary.inv_freq.double().tolist(),
                      "attention_factor": float(rotary.attention_scaling)})
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    text = json.dumps({"versions": versions, "cases": cases})
    Path(__file__).with_suffix(".json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
