// The demo's own material: a corpus, a tokenizer trained on it, an untrained base model, and a second task.
#pragma once

#include <filesystem>

namespace finetune {

/// Writes base/ (config.json, tokenizer.model, tokenizer_config.json, model.safetensors with random weights),
/// corpus.txt, task_train.jsonl and task_valid.jsonl into `folder`. The same files every time.
void make_demo_material(const std::filesystem::path& folder);

}  // namespace finetune
