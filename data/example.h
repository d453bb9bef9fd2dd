// Training examples as token ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace finetune {

/// One example. loss[i] = 1 where token i is a target (its probability given tokens < i counts). loss[0] is always 0.
/// Several sequences that an objective weighs against each other, a chosen answer and a rejected one say, are one
/// example: their tokens one behind the other, none seeing those of another, and the first of each without loss. So
/// they are in one batch, one pass, one held-out part.
struct Example {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> loss;
  std::vector<std::int64_t> ends;  ///< of each sequence, ascending to ids.size(); empty: one sequence
  /// Of each sequence, where in ids its answer begins: loss tokens before it belong to the prompt. Empty: none do.
  std::vector<std::int64_t> answers;
  std::vector<double>
      reference;                ///< of each sequence: its loss tokens' summed nll under a reference model; empty: none
  bool desirable = true;        ///< label of an answer that is judged alone
  std::int64_t loss_bytes = 0;  ///< of the text that the loss tokens write, special tokens aside
  std::int32_t file = 0;        ///< index into the list of input files
  std::int64_t line = 0;        ///< 1-based line (or record number for .json) it came from
  std::int64_t loss_tokens() const {
    std::int64_t count = 0;
    for (const auto flag : loss) count += flag;
    return count;
  }
};

}  // namespace finetune
