#include "models/objectives/example_values.h"

#include <ATen/ATen.h>

namespace finetune {
namespace {

// Two of the widest vectors, which ATen's loops take at a time.
constexpr std::int64_t kFill = 16;

std::int64_t filled(std::size_t count) {
  return (static_cast<std::int64_t>(count) + kFill - 1) / kFill * kFill;
}

template <typename T>
at::Tensor tensor_of(const std::vector<T>& values, at::ScalarType type, at::Device device) {
  const auto* data = values.data();
  at::Tensor host = at::empty({std::ssize(values)}, type);
  std::copy(data, data + values.size(), host.mutable_data_ptr<T>());
  return host.to(device);
}

// Sums of the answers' rows, example by example: [sequences][E].
std::vector<at::Tensor> answer_sums(const Pack& pack, const at::Tensor& nll_N, std::size_t sequences,
                                    std::size_t examples) {
  std::vector<std::int64_t> lengths;  // prompt and answer of each sequence, one behind the other
  std::int64_t covered = 0;
  for (const SequenceRows& sequence : pack.sequences) {
    lengths.push_back(sequence.answer - sequence.begin);
    lengths.push_back(sequence.end - sequence.answer);
    covered = sequence.end;
  }
  const at::Tensor rows = nll_N.narrow(0, 0, covered).to(at::kDouble);
  const at::Tensor sums =
      at::segment_reduce(rows, "sum", tensor_of(lengths, at::kLong, nll_N.device()), {}, {}, 0, false, 0)
          .view({static_cast<std::int64_t>(examples), static_cast<std::int64_t>(sequences), 2})
          .select(2, 1);
  std::vector<at::Tensor> columns;
  for (std::size_t i = 0; i < sequences; ++i) {
    columns.push_back(at::zeros({filled(examples)}, rows.options()));
    columns.back().narrow(0, 0, sums.size(0)).copy_(sums.select(1, static_cast<std::int64_t>(i)));
  }
  return columns;
}

}  // namespace

ExampleTable::ExampleTable(const Pack& pack, const at::Tensor& nll_N, std::size_t sequences)
    : pack_(pack), nll_N_(nll_N), sequences_(sequences), examples_(pack.sequences.size() / sequences) {
  TORCH_CHECK(pack.sequences.size() == examples_ * sequences, "an objective over other examples than it is given");
  sums_ = answer_sums(pack, nll_N, sequences, examples_);
}

ExampleValues ExampleTable::from_sequences(std::size_t sequence, const OfSequence& value) const {
  std::vector<double> values(static_cast<std::size_t>(filled(examples_)), 1);
  for (std::size_t i = 0; i < examples_; ++i) values[i] = value(pack_.sequences[i * sequences_ + sequence]);
  return tensor_of(values, at::kDouble, nll_N_.device());
}

ExampleValues ExampleTable::answer_rows(std::size_t sequence) const {
  return from_sequences(sequence, [](const SequenceRows& s) { return static_cast<double>(s.end - s.answer); });
}

ExampleValues ExampleTable::reference(std::size_t sequence) const {
  return from_sequences(sequence, [](const SequenceRows& s) { return s.reference; });
}

ExampleValues ExampleTable::of_first(const OfSequence& value) const {
  return from_sequences(0, value);
}

ExampleValues ExampleTable::of_trial(const std::function<double(const WeighedTrial&)>& value) const {
  return from_sequences(0, [&](const SequenceRows& s) { return value(pack_.trials[s.trial]); });
}

// `places`: of each row the index into all values, one behind the other, or the one behind them for zero.
at::Tensor ExampleTable::spread(const std::vector<ExampleValues>& values,
                                const std::vector<std::int64_t>& places) const {
  std::vector<at::Tensor> all = values;
  all.push_back(at::zeros({1}, values.front().options()));
  return at::cat(all).index_select(0, tensor_of(places, at::kLong, nll_N_.device())).to(nll_N_.scalar_type());
}

at::Tensor ExampleTable::at_answers(const std::vector<ExampleValues>& values) const {
  const std::int64_t width = filled(examples_), zero = width * std::ssize(values);
  std::vector<std::int64_t> places(static_cast<std::size_t>(nll_N_.size(0)), zero);
  for (std::size_t i = 0; i < pack_.sequences.size(); ++i) {
    const auto column = static_cast<std::int64_t>(i % sequences_), example = static_cast<std::int64_t>(i / sequences_);
    for (std::int64_t row = pack_.sequences[i].answer; row < pack_.sequences[i].end; ++row)
      places[static_cast<std::size_t>(row)] = column * width + example;
  }
  return spread(values, places);
}

at::Tensor ExampleTable::at_examples(const ExampleValues& values) const {
  std::vector<std::int64_t> places(static_cast<std::size_t>(nll_N_.size(0)), filled(examples_));
  for (std::size_t i = 0; i < examples_; ++i)
    places[static_cast<std::size_t>(pack_.sequences[i * sequences_].answer)] = static_cast<std::int64_t>(i);
  return spread({values}, places);
}

at::Tensor ExampleTable::at_first_sequences(const std::function<double(const WeighedTrial&)>& value) const {
  std::vector<double> values(static_cast<std::size_t>(nll_N_.size(0)), 0);
  for (std::size_t i = 0; i < pack_.sequences.size(); i += sequences_) {
    const SequenceRows& first = pack_.sequences[i];
    std::fill(values.begin() + first.begin, values.begin() + first.end, value(pack_.trials[first.trial]));
  }
  return tensor_of(values, at::kDouble, nll_N_.device()).to(nll_N_.scalar_type());
}

}  // namespace finetune
