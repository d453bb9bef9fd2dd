// Arithmetic on examples instead of loss rows: sums over the sequences of each, and back to rows. Numbers of an example
// are the same bits whoever else is in the pass: a sum is one chain over its rows, and vectors are filled up so that no
// element is computed by a vector operation's remainder, whose functions round differently.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "models/decoder.h"

namespace finetune {

/// A value for each example of a pass, [E] on its device, in double; E is filled up.
using ExampleValues = at::Tensor;

class ExampleTable {
 public:
  /// Every example has `sequences` of them.
  ExampleTable(const Pack& pack, const at::Tensor& nll_N, std::size_t sequences);

  ExampleValues answer_nll(std::size_t sequence) const { return sums_[sequence]; }
  /// Loss rows of the answer.
  ExampleValues answer_rows(std::size_t sequence) const;
  ExampleValues reference(std::size_t sequence) const;
  /// A value of each example's first sequence or of its trial.
  ExampleValues of_first(const std::function<double(const SequenceRows&)>& value) const;
  ExampleValues of_trial(const std::function<double(const WeighedTrial&)>& value) const;

  /// To loss rows: `values[i]` at every row of the i-th sequences' answers, zero elsewhere.
  at::Tensor at_answers(const std::vector<ExampleValues>& values) const;
  /// At one row of each example.
  at::Tensor at_examples(const ExampleValues& values) const;
  /// `value` of the example's trial at every row of its first sequence.
  at::Tensor at_first_sequences(const std::function<double(const WeighedTrial&)>& value) const;

 private:
  using OfSequence = std::function<double(const SequenceRows&)>;
  ExampleValues from_sequences(std::size_t sequence, const OfSequence& value) const;
  at::Tensor spread(const std::vector<ExampleValues>& values, const std::vector<std::int64_t>& places) const;

  const Pack& pack_;
  at::Tensor nll_N_;
  std::size_t sequences_, examples_;
  std::vector<ExampleValues> sums_;
};

}  // namespace finetune
