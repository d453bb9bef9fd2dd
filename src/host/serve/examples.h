// Examples of a request: rows as data.train has them, tokenized and masked in the same way, or token ids with what each
// token is worth.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/record_format.h"
#include "engine/service.h"
#include "host/serve/fields.h"

namespace finetune {

/// The loss that a request names, and its bounds: `loss`, `clip_low`, `clip_high`.
struct LossChoice {
  TokenLoss loss = TokenLoss::cross_entropy;
  double clip_low = 0.8, clip_high = 1.2;
};

/// Throws Error (bad_input) for one that is not known, listing those that are, and for bounds where nothing is clipped.
LossChoice loss_of(Fields& fields);

struct ReadExamples {
  std::vector<TermedExample> examples;
  std::int64_t truncated = 0;  ///< shortened to data.max_length
};

class ExampleReader {
 public:
  /// `options`: data.*, its max_length lowered to the model's. `tokenizer` must outlive it.
  ExampleReader(DataOptions options, const Tokenizer& tokenizer, std::int64_t vocabulary);

  /// Each entry of `list` is a row (prompt and completion, messages, text: what data.format allows) or
  ///   {"ids": [...], "weights": [...], "logprobs": [...], "advantages": [...]}
  /// Lists beside ids speak of its last tokens, as many as they have entries; tokens before those carry no loss.
  /// `weights` says what a token's loss counts (0: it carries none), with logprobs 1 where it is absent; logprobs,
  /// those of the policy that sampled the tokens, and advantages (a list, or one number for all) belong to the losses
  /// that have a ratio. Throws Error (bad_input) naming the entry: "forward.examples[3].ids ...".
  ReadExamples read(const nlohmann::ordered_json& list, const std::string& path, const LossChoice& loss);

 private:
  TermedExample of_ids(const nlohmann::ordered_json& entry, const std::string& path, const LossChoice& loss) const;
  Example of_row(const nlohmann::ordered_json& entry, std::int64_t& truncated);
  const RecordFormat& format_of(const nlohmann::ordered_json& entry);

  DataOptions options_;
  const Tokenizer& tokenizer_;
  std::int64_t vocabulary_;
  std::map<std::string, std::unique_ptr<RecordFormat>> formats_;  // by columns
};

}  // namespace finetune
