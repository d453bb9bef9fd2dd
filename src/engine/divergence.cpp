#include "engine/divergence.h"

#include <algorithm>

namespace finetune {
namespace {

const ExampleView& before(const Batch& batch, std::size_t i) {
  return batch.examples[i > 0 ? i - 1 : batch.examples.size() - 1];
}

std::pair<const std::int32_t*, const std::int32_t*> pair_at(const Batch& batch, std::size_t i) {
  return {batch.examples[i].ids.data(), before(batch, i).ids.data()};
}

Example joined(const ExampleView& prompt, const ExampleView& answer, std::int64_t max_length) {
  const auto from = static_cast<std::ptrdiff_t>(answer.answers.front());
  Example example;
  example.ids.assign(prompt.ids.begin(), prompt.ids.begin() + static_cast<std::ptrdiff_t>(prompt.answers.front()));
  example.loss.assign(example.ids.size(), 0);
  example.ids.insert(example.ids.end(), answer.ids.begin() + from, answer.ids.end());
  example.loss.insert(example.loss.end(), answer.loss.begin() + from, answer.loss.end());
  example.answers.assign(prompt.answers.begin(), prompt.answers.end());
  const auto length = static_cast<std::size_t>(std::min(max_length, std::ssize(example.ids)));
  example.ids.resize(length);
  example.loss.resize(length);
  return example;
}

}  // namespace

std::vector<Example> mismatched(const Batch& batch, std::int64_t max_length) {
  std::vector<Example> examples;
  for (std::size_t i = 0; i < batch.examples.size(); ++i)
    examples.push_back(joined(batch.examples[i], before(batch, i), max_length));
  return examples;
}

double MismatchedReferences::sum(const Batch& batch, std::span<const Example> mismatched, const Compute& compute) {
  std::vector<Example> fresh;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < batch.examples.size(); ++i) {
    if (known_.contains(pair_at(batch, i))) continue;
    fresh.push_back(mismatched[i]);
    places.push_back(i);
  }
  if (!fresh.empty()) {
    const auto losses = compute(fresh);
    for (std::size_t k = 0; k < places.size(); ++k) known_[pair_at(batch, places[k])] = losses[k].front();
  }
  double sum = 0;
  for (std::size_t i = 0; i < batch.examples.size(); ++i) sum += known_.at(pair_at(batch, i));
  return sum;
}

}  // namespace finetune
