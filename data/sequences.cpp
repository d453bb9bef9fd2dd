#include "data/sequences.h"

#include <algorithm>

namespace finetune {
namespace {

std::ptrdiff_t answer_of(const Example& sequence) {
  return std::ranges::find(sequence.loss, std::uint8_t{1}) - sequence.loss.begin();
}

}  // namespace

void align_answers(std::vector<Example>& sequences) {
  std::ptrdiff_t begin = PTRDIFF_MAX;
  for (Example& sequence : sequences) {
    while (sequence.loss_tokens() > 0 && sequence.loss.back() == 0) {
      sequence.loss.pop_back();
      sequence.ids.pop_back();
    }
    begin = std::min(begin, answer_of(sequence));
  }
  for (Example& sequence : sequences) {
    const std::ptrdiff_t end = answer_of(sequence);
    if (begin < end && end < std::ssize(sequence.loss))
      std::fill(sequence.loss.begin() + begin, sequence.loss.begin() + end, std::uint8_t{1});
  }
}

Example joined(const std::vector<Example>& sequences, bool learns_first) {
  Example example;
  for (const Example& sequence : sequences) {
    const std::ptrdiff_t begin = std::ssize(example.ids);
    example.answers.push_back(begin + answer_of(sequence));
    example.ids.insert(example.ids.end(), sequence.ids.begin(), sequence.ids.end());
    example.loss.insert(example.loss.end(), sequence.loss.begin(), sequence.loss.end());
    example.ends.push_back(std::ssize(example.ids));
  }
  if (learns_first) std::fill(example.loss.begin() + 1, example.loss.begin() + example.ends.front(), std::uint8_t{1});
  return example;
}

}  // namespace finetune
