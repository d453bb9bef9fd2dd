// A regular expression or literal to search for. PCRE2 with Unicode properties; the patterns in tokenizer files are
// written for Oniguruma, whose syntax is the same where they use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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

  using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;
  class Search;

  /// Non-overlapping, non-empty matches from left to right, as byte ranges. Throws Error (bad_input) where the
  /// expression needs more steps than PCRE2 allows.
  Ranges find_all(std::string_view text) const;

  /// How many groups an expression has.
  std::uint32_t groups() const;
  /// The first match's part in a group, 0 = all of it, which may be empty; nothing without a match. The same error.
  std::optional<std::string> find_group(std::string_view text, std::uint32_t group) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  std::string literal_;
};

/// Searches through many short texts: what a search needs is allocated once. For one thread; the pattern outlives it.
class Pattern::Search {
 public:
  explicit Search(const Pattern& pattern);
  ~Search();
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
  /// As Pattern::find_all; valid until the next call.
  const Ranges& find_all(std::string_view text);

 private:
  struct Scratch;
  void find_literals(std::string_view text);
  void find_expressions(std::string_view text);
  int match(std::string_view text, std::size_t from);

  const Pattern& pattern_;
  std::unique_ptr<Scratch> scratch_;
  Ranges matches_;
};

}  // namespace finetune
