// Modules outside the blocks of which a trial trains a whole copy of its own, beside its adapters: PEFT's
// modules_to_save. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

struct SavedModules {
  bool embed_tokens = false, lm_head = false;

  bool empty() const { return !embed_tokens && !lm_head; }
  std::vector<std::string> names() const;
  bool operator==(const SavedModules&) const = default;
};
inline SavedModules operator|(SavedModules a, SavedModules b) {
  return {.embed_tokens = a.embed_tokens || b.embed_tokens, .lm_head = a.lm_head || b.lm_head};
}

/// By their names. Throws Error (bad_input) naming `where` and `key` for another name.
SavedModules saved_modules(const std::string& where, const std::string& key, const std::vector<std::string>& names);

/// Throws Error (bad_input) naming `where` and `key` where the model's two modules are one matrix: a copy of one would
/// part them.
void check_saved_modules(const std::string& where, const std::string& key, SavedModules saved,
                         const DecoderOptions& model);

/// Their numbers.
std::int64_t saved_parameters(const DecoderOptions& model, SavedModules saved);

}  // namespace finetune
