#include "models/saved_modules.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace finetune {

std::vector<std::string> SavedModules::names() const {
  std::vector<std::string> names;
  if (embed_tokens) names.emplace_back("embed_tokens");
  if (lm_head) names.emplace_back("lm_head");
  return names;
}

SavedModules saved_modules(const std::string& where, const std::string& key, const std::vector<std::string>& names) {
  const std::vector<std::string> known{"embed_tokens", "lm_head"};
  SavedModules saved;
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) == known.end())
      throw bad_input(where, key + " names " + name + "; " + join(known, " and ") + " can be trained whole" +
                                 did_you_mean(name, known));
    (name == "lm_head" ? saved.lm_head : saved.embed_tokens) = true;
  }
  return saved;
}

void check_saved_modules(const std::string& where, const std::string& key, SavedModules saved,
                         const DecoderOptions& model) {
  if (saved.empty() || !model.tied_head) return;
  throw bad_input(where, key + " names " + join(saved.names(), " and ") +
                             ", but the model ties lm_head to embed_tokens: one matrix for both, which a copy would "
                             "part; use train.method: full, or adapters alone");
}

std::int64_t saved_parameters(const DecoderOptions& model, SavedModules saved) {
  return (static_cast<std::int64_t>(saved.embed_tokens) + static_cast<std::int64_t>(saved.lm_head)) * model.vocab_size *
         model.width;
}

}  // namespace finetune
