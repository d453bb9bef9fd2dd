#include "models/targets.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr const char* kTargetModules = "key target_modules";

using Matches = std::function<bool(const std::string& path)>;

Matches match_names(const std::string& where, const nlohmann::ordered_json& list) {
  std::vector<std::string> names;
  for (const auto& name : list) {
    if (!name.is_string()) throw bad_input(where, "key target_modules must hold names");
    names.push_back(name.get<std::string>());
  }
  return [names](const std::string& path) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return path == name || path.ends_with("." + name); });
  };
}

}  // namespace

// Matching is bounded: a pattern comes from a file and may be made to explode.
std::function<bool(const std::string&)> path_pattern(const std::string& where, const std::string& key,
                                                     const std::string& pattern) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  const std::shared_ptr<pcre2_code> compiled(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr),
      pcre2_code_free);
  if (!compiled) throw bad_input(where, key + " is not a valid pattern at character " + std::to_string(offset));
  const std::shared_ptr<pcre2_match_data> data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const std::shared_ptr<pcre2_match_context> limits(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(limits.get(), 100'000);
  return [=](const std::string& path) {
    const int found = pcre2_match(compiled.get(), reinterpret_cast<PCRE2_SPTR>(path.data()), path.size(), 0, 0,
                                  data.get(), limits.get());
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
      throw bad_input(where, key + ": the pattern takes too long to match");
    return found >= 0;
  };
}

static std::vector<std::string> module_names(const DecoderOptions& model) {
  std::vector<std::string> names;
  for (const Projection p : projections_of(model).members()) names.emplace_back(name_of(p));
  return names;
}

// `key`: how the one who asks calls it.
static ProjectionSet matched(const std::string& where, const std::string& key, const Matches& matches,
                             const DecoderOptions& model) {
  for (const std::string& module : {std::string("lm_head"), model.root + ".embed_tokens"}) {
    if (matches(module)) throw bad_input(where, key + " names " + module + "; adapters on it cannot be read");
  }
  ProjectionSet set;
  for (const Projection p : projections_of(model).members()) {
    std::int64_t layers = 0;
    for (std::int64_t layer = 0; layer < model.layers; ++layer) layers += matches(projection_path(model, layer, p));
    if (layers != 0 && layers != model.layers) {
      throw bad_input(where, key + " matches " + name_of(p) + " in " + std::to_string(layers) + " of " +
                                 std::to_string(model.layers) + " layers; only adapters on all layers can be read");
    }
    if (layers != 0) set.add(p);
  }
  if (set.empty()) {
    throw bad_input(where, key + " matches nothing in the model, which has " + join(module_names(model), ", "));
  }
  return set;
}

ProjectionSet resolve_targets(const DecoderOptions& model, const std::vector<std::string>& targets) {
  ProjectionSet set;
  const std::vector<Projection> members = projections_of(model).members();
  const auto add_where = [&](const auto& wanted) {
    for (const Projection p : members) {
      if (wanted(p)) set.add(p);
    }
  };
  for (const auto& target : targets) {
    if (target == "all-linear") {
      set = projections_of(model);
    } else if (target.starts_with("re:")) {
      const Matches matches = path_pattern("", "train.lora.targets", target.substr(3));
      set = set | matched("", "train.lora.targets", matches, model);
    } else if (target == "attention" || target == "mlp") {
      add_where([&](Projection p) { return is_attention(p) == (target == "attention"); });
    } else if (std::ranges::none_of(members, [&](Projection p) { return target == name_of(p); })) {
      throw bad_input("", "train.lora.targets: " + target +
                              " is not a projection of the model; allowed: all-linear, attention, mlp, re:PATTERN, " +
                              join(module_names(model), ", "));
    } else {
      add_where([&](Projection p) { return target == name_of(p); });
    }
  }
  if (targets.empty())
    throw bad_input("", "train.lora.targets is empty; allowed: all-linear, attention, mlp, re:PATTERN, or " +
                            join(module_names(model), ", "));
  return set;
}

ProjectionSet match_target_modules(const std::string& where, const nlohmann::ordered_json& target_modules,
                                   const DecoderOptions& model) {
  if (target_modules == "all-linear") return resolve_targets(model, {"all-linear"});
  if (!target_modules.is_array() && !target_modules.is_string()) {
    throw bad_input(where, "key target_modules must be a list of names or a string");
  }
  const Matches matches = target_modules.is_array()
                              ? match_names(where, target_modules)
                              : path_pattern(where, kTargetModules, target_modules.get<std::string>());
  return matched(where, kTargetModules, matches, model);
}

std::vector<std::string> unmatched_modules(const nlohmann::ordered_json& target_modules, const DecoderOptions& model) {
  std::vector<std::string> unmatched;
  if (!target_modules.is_array()) return unmatched;
  const std::vector<Projection> members = projections_of(model).members();
  for (const auto& name : target_modules) {
    const Matches matches = match_names("", {name});
    bool found = false;
    for (std::int64_t layer = 0; layer < model.layers && !found; ++layer) {
      found = std::ranges::any_of(members, [&](Projection p) { return matches(projection_path(model, layer, p)); });
    }
    if (!found) unmatched.push_back(name.get<std::string>());
  }
  return unmatched;
}

}  // namespace finetune
