#include "data/dataset_notes.h"

#include <algorithm>

#include "core/text.h"

namespace finetune {

std::vector<std::string> dataset_notes(const Dataset& data, const std::string& what, const DataOptions& options) {
  std::vector<std::string> notes;
  const auto note = [&](std::int64_t count, const std::string& text) {
    if (count > 0) notes.push_back(what + ": " + with_commas(count) + " of " + with_commas(data.records) + " " + text);
  };
  const std::string limit = "data.max_length = " + std::to_string(options.max_length);
  note(data.truncated, "examples were cut to " + limit + " tokens");
  note(data.dropped_long, "examples are longer than " + limit + " tokens and were dropped");
  note(data.dropped_no_loss, options.keep_without_loss
                                 ? "examples have no token that carries loss and count for nothing"
                                 : "examples have no token that carries loss and were dropped");
  const auto is_text = [](const std::string& file) { return file.ends_with(".txt"); };
  if (!options.separator.empty() && data.records == std::ssize(data.files) && std::ranges::all_of(data.files, is_text))
    notes.push_back(what + ": data.separator occurs in no file, so each is one example");
  if (data.straddling > 0 && data.chat_template.empty()) {
    notes.push_back(
        what + ": " + with_commas(data.straddling) +
        " tokens straddle the border of prompt and completion and count as completion; end the prompt where a token "
        "ends, with a line break say, to leave them out");
  }
  if (!data.unused_columns.empty()) {
    notes.push_back(what + ": format " + data.format + " does not use column" +
                    (data.unused_columns.size() > 1 ? "s " : " ") + join(data.unused_columns, ", "));
  }
  return notes;
}

std::string chat_template_note(const std::string& used, const DataOptions& options) {
  const bool assumed = options.chat_template == "auto" && used == options.assumed_template;
  return "chat template " + used + (assumed ? ", assumed: the checkpoint has none" : "");
}

}  // namespace finetune
