#include "data/unused_columns.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "data/fields.h"
#include "data/preference.h"

namespace finetune {
namespace {

struct FormatColumns {
  const char* format;
  std::vector<std::string> read;     // by the names of data.fields
  std::vector<std::string> refused;  // they belong to the question, and the format has no place for them
  const char* advice;                // what to do about a refused one
};

constexpr const char* kUsePatterns = "name what is wanted in data.prompt and data.completion patterns";
constexpr const char* kLabelled = "preference of one answer";
constexpr const char* kUseTemplate = "set data.template to one that takes it";

const FormatColumns* columns_for(const std::string& name) {
  static const std::array kFormats{
      FormatColumns{"text", {"text"}, {}, ""},  // the text is all there is to it
      FormatColumns{"prompt_completion", {"prompt", "completion"}, {"system", "history", "tools"}, kUsePatterns},
      FormatColumns{
          "preference",
          {"prompt", "chosen", "rejected", "conversations", "messages", "instruction", "input", "system", "history"},
          {"tools"},
          kUseTemplate},
      FormatColumns{kLabelled,
                    {"prompt", "completion", "output", "label", "conversations", "messages", "instruction", "input",
                     "system", "history"},
                    {"tools"},
                    kUseTemplate},
      FormatColumns{"choices", {"prompt", "choices", "answer"}, {}, ""},
      FormatColumns{"alpaca", {"instruction", "input", "output", "system", "history"}, {"tools"}, kUseTemplate},
      FormatColumns{"messages", {"messages", "system"}, {"tools"}, kUseTemplate},
      FormatColumns{"sharegpt", {"conversations", "system"}, {"tools"}, kUseTemplate}};
  const auto found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const FormatColumns& f) { return f.format == name; });
  return found == kFormats.end() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string> unused_columns(const nlohmann::ordered_json& record, const std::string& format,
                                        const DataOptions& options, bool handed_over) {
  const bool labelled = format == "preference" && learns_from_labels(options);
  const FormatColumns* known = columns_for(labelled ? kLabelled : format);
  std::vector<std::string> unused;
  const bool by_pattern = format == "choices" && options.has_pattern;  // which names the columns it wants
  if (known == nullptr || handed_over || by_pattern) return unused;
  const auto holds = [&](const std::vector<std::string>& fields, const std::string& column) {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const std::string& field) { return column_of(options, field) == column; });
  };
  for (const auto& [column, value] : record.items()) {
    if (is_empty_value(value) || holds(known->read, column)) continue;
    if (holds(known->refused, column)) {
      throw bad_input(
          "", "column " + column + " has no place in data.format " + format + "; remove it, or " + known->advice);
    }
    unused.push_back(column);
  }
  return unused;
}

}  // namespace finetune
