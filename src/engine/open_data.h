// data.*: from the keys to examples, with what is held out of them. Needs no weights and no LibTorch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/dataset.h"
#include "models/decoder_options.h"

namespace finetune {

/// What the examples are for.
struct DataUse {
  bool trains = true;     ///< false: only data.valid is read, and examples without a loss token stay in it
  bool holds_out = true;  ///< where neither data.valid nor data.valid_fraction is given, 5 % of data.train are held out
  bool collect_rejects = false;  ///< bad lines go to Dataset::rejects, tokens are counted by role; else the first bad
                                 ///< line is an error
  std::function<void(const std::string&)> say = {};  ///< how far much data has been read, a line now and then
};

struct OpenedData {
  Dataset train, valid, test;
  std::string valid_source;   ///< for people: "dev.tsv", "5 % of the training data", ""
  std::string chat_template;  ///< name, or file and hash, of what the conversations are rendered with; "" = none
};

/// Lowers data.max_length to the model's positions, and says so where it was given.
void limit_length(RunConfig& config, std::int64_t positions, std::vector<std::string>& notes);

/// Throws Error (bad_input) naming a part that has no example: who is drawn by a share must have something to draw.
/// Where rejects are collected that is left to the caller, who says them first.
void require_parts(const Dataset& data);

/// What data.* and train.objective say, for `use`; without data.date a template is told today's.
DataOptions data_options(const RunConfig& config, const DataUse& use);

/// Of `model` the largest position and the vocabulary count. Sets data.max_length, data.valid_fraction and data.date to
/// what is used; adds to `notes` what is said once: limits lowered, examples truncated or dropped, and what is done
/// with the token cache. Throws Error (bad_input) naming file and line, or file and key.
OpenedData open_data(RunConfig& config, const Tokenizer& tokenizer, const DecoderOptions& model, const DataUse& use,
                     std::vector<std::string>& notes);

}  // namespace finetune
