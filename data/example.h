// Training examples as token ids: one that owns its lists, and a view of one that lies elsewhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
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
  bool desirable = true;        ///< label of an answer that is judged alone
  std::int64_t loss_bytes = 0;  ///< of the text that the loss tokens write, special tokens aside
  std::int32_t file = 0;        ///< index into the list of input files
  std::int64_t line = 0;        ///< 1-based line (or record number for .json) it came from
  std::int64_t loss_tokens() const { return std::count(loss.begin(), loss.end(), std::uint8_t{1}); }
};

/// A list that lies elsewhere; two are equal when their values are.
template <typename T>
class Slice : public std::span<const T> {
 public:
  using std::span<const T>::span;
  Slice(std::span<const T> list) : std::span<const T>(list) {}
  friend bool operator==(const Slice& a, const Slice& b) { return std::ranges::equal(a, b); }
};

/// An Example whose lists lie elsewhere and stay there: in an Example, or in a block of many (data/examples.h).
struct ExampleView {
  Slice<std::int32_t> ids;
  Slice<std::uint8_t> loss;
  Slice<std::int64_t> ends, answers;
  Slice<double> reference;  ///< of each sequence: its loss tokens' summed nll under a reference model; empty: none
  bool desirable = true;
  std::int64_t loss_bytes = 0;
  std::int32_t file = 0;
  std::int64_t line = 0;

  ExampleView() = default;
  ExampleView(const Example& example)
      : ids(example.ids),
        loss(example.loss),
        ends(example.ends),
        answers(example.answers),
        desirable(example.desirable),
        loss_bytes(example.loss_bytes),
        file(example.file),
        line(example.line) {}
  std::int64_t loss_tokens() const { return std::count(loss.begin(), loss.end(), std::uint8_t{1}); }
};

}  // namespace finetune
