// Rows whose answer is one of several texts, for metrics that compare the likelihoods of these: the row's own choices,
// or labels that all rows share. Each choice is written and tokenized as training writes the row's completion, its end
// token included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/row_filter.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

struct ChoiceRow {
  std::vector<std::int32_t> prompt;                      ///< tokens that all choices begin with; at least one
  std::vector<std::vector<std::int32_t>> continuations;  ///< by choice, what comes behind; at least one token each
  std::vector<std::int64_t> bytes;                       ///< of each choice's text
  std::size_t right = 0;
};

struct ChoiceSet {
  std::vector<ChoiceRow> rows;
  std::int64_t too_long = 0;  ///< rows left out: longer than data.max_length
};

/// The distinct completions of all rows, white space around them aside, in order of appearance: at most `most` + 1.
std::vector<std::string> distinct_completions(const std::vector<std::string>& files, const DataOptions& options,
                                              std::size_t most);

/// Those of `labels` that are no row's completion, white space around them aside. Rows that cannot be read are no
/// row's.
std::vector<std::string> unseen_labels(const std::vector<std::string>& labels, const std::vector<std::string>& files,
                                       const DataOptions& options);

/// Of the rows that `wanted` is true for. `labels`: the choices of every row; empty: each row has its own (format
/// `choices`). Throws Error (bad_input) naming file and line of a row whose completion is none of the labels.
ChoiceSet load_choices(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                       const RowFilter& wanted, const std::vector<std::string>& labels);

}  // namespace finetune
