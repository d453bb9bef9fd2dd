// A chat template: Jinja as transformers sets it up (trim_blocks, lstrip_blocks, loop controls, generation blocks, the
// sandbox in which nothing but a namespace changes), for the language that published templates use. What is outside it
// (imports, blocks, recursive loops, numbers beyond 64 bits, str.format with a format) is refused by name.
// Bounded: no template hangs, fills memory or overflows the stack.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/jinja/value.h"

namespace finetune::jinja {

struct Limits {
  std::int64_t work = 50'000'000;  ///< evaluated nodes, list elements and 16-byte pieces of text; about a second
  std::size_t output = 64 << 20;   ///< bytes of any text that is made
};

struct Output {
  std::string text;
  std::vector<std::pair<std::size_t, std::size_t>> generated;  ///< byte ranges that generation blocks wrote
  /// A generation block stood in a macro or a captured body: its place in the text is not known.
  bool generated_elsewhere = false;
};

using Variables = std::vector<std::pair<std::string, Value>>;
struct Tree;

/// Immutable after parsing; may be rendered from several threads at once.
class Template {
 public:
  /// `name` is what errors call it. Throws Error (bad_input) "name:line: what".
  Template(std::string name, std::string_view source);
  ~Template();
  Template(Template&&) noexcept;

  /// `date` is what strftime_now writes. Throws Error (bad_input) "name:line: what" for everything that goes wrong,
  /// raise_exception included.
  Output render(const Variables& variables, const std::tm& date, const Limits& limits = {}) const;
  bool has_generation() const;
  bool mentions(const std::string& name) const { return symbols_.contains(name); }

 private:
  std::string name_;
  std::unique_ptr<const Tree> tree_;
  std::unordered_map<std::string, int> symbols_;
};

}  // namespace finetune::jinja
