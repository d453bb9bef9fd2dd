// A regular expression or literal to search for. PCRE2 with Unicode properties; the patterns in tokenizer files are
// written for Oniguruma, whose syntax is the same where they use it.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace finetune {

class Pattern {
 public:
  /// {"Regex": "..."} or {"String": "..."}. Throws Error (bad_input) with `where` for a bad pattern.
  static Pattern from_json(const std::string& where, const nlohmann::ordered_json& json);
  static Pattern regex(const std::string& where, const std::string& written);
  static Pattern literal(std::string text);

  /// Non-overlapping, non-empty matches from left to right, as byte ranges. Throws Error (bad_input) where the
  /// expression needs more steps than PCRE2 allows.
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  std::string literal_;
};

}  // namespace finetune
