// Consecutive examples of one file as flat columns, in memory or in a mapped file. Immutable, so any thread may read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/example.h"

namespace finetune {

struct ExampleBlock {
  // One value for each example.
  Slice<std::uint64_t> ends;    ///< where its tokens end, in ids and loss; they begin where those before it end
  Slice<std::uint64_t> hashes;  ///< hash_of its ids
  Slice<std::int64_t> lines, loss_bytes;
  // Rare: empty where no example of the block has any. The first two and `undesirable` have one value for each example.
  Slice<std::uint64_t> sequence_counts, answer_counts;  ///< values of all examples up to and with this one
  Slice<std::uint8_t> undesirable;
  Slice<std::int64_t> sequence_ends, answers;  ///< Example::ends and Example::answers, one example behind the other
  // One value for each token.
  Slice<std::int32_t> ids;
  Slice<std::uint8_t> loss;

  std::int32_t file = 0;
  // What follows from the columns.
  std::int64_t longest = 0;      ///< tokens of an example
  std::int32_t highest_id = -1;  ///< -1: no token
  std::shared_ptr<const void> owner;

  std::size_t size() const { return ends.size(); }
  std::uint64_t begin(std::size_t i) const { return i == 0 ? 0 : ends[i - 1]; }
  std::int64_t length(std::size_t i) const { return static_cast<std::int64_t>(ends[i] - begin(i)); }
  /// Without a reference.
  ExampleView operator[](std::size_t i) const;
};

/// Calls work(column) for each of them, in the order in which they are written.
template <typename Block, typename Work>
void for_each_column(Block& block, const Work& work) {
  work(block.ends);
  work(block.hashes);
  work(block.lines);
  work(block.loss_bytes);
  work(block.sequence_counts);
  work(block.answer_counts);
  work(block.sequence_ends);
  work(block.answers);
  work(block.ids);
  work(block.loss);
  work(block.undesirable);
}

/// Of token ids: the same whatever else is in the data, on every machine.
std::uint64_t hash_of(std::span<const std::int32_t> ids);

/// A block in memory. All examples are of the first one's file.
std::shared_ptr<const ExampleBlock> make_block(std::span<const Example> examples);

/// Whether columns that somebody else wrote fit together: each has its length, places lie in what they point into, ids
/// are below `vocabulary`. Sets what follows from them. Goes through all of them.
bool settle(ExampleBlock& block, std::int64_t vocabulary);

}  // namespace finetune
