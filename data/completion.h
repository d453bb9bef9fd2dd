// The answer of a row: read, and replaced by another, whatever the row's format.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Of a row with columns `choices` (a list of texts, or {text: [...], label: [...]} as some datasets write it) and
/// `answer`: a number is an index from 0 (a label where labels are numbers and it is no other's index), a text a label,
/// one of the list, or an index.
struct RowChoices {
  std::vector<std::string> texts;
  std::size_t right = 0;
};

/// Throws Error (bad_input, no location) naming the column that is missing or wrong.
RowChoices choices_of(const nlohmann::ordered_json& record, const DataOptions& options);

/// `choice` as it stands behind the prompt: after a space, unless either brings white space along.
std::string spaced(const std::string& prompt, const std::string& choice);

/// Text without white space around it.
std::string stripped(const std::string& text);

/// A row and how it is read.
struct AnsweredRow {
  nlohmann::ordered_json record;
  DataOptions options;
};

/// What the row's completion is: of a conversation its last message, of `choices` the right one. Throws Error
/// (bad_input, no location) where the format has none.
std::string completion_of(const nlohmann::ordered_json& record, const std::string& format, const DataOptions& options);

/// The row with this text for its completion; white space around the old one stays.
AnsweredRow with_completion(const nlohmann::ordered_json& record, const std::string& format, const DataOptions& options,
                            const std::string& text);

}  // namespace finetune
