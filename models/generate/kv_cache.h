// Keys and values of sequences being continued, in blocks of kCacheBlock tokens: a sequence takes blocks as it grows
// and gives them back when it ends, and sequences that begin alike share those of the beginning.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/torch/ops.h"
#include "models/decoder_options.h"

namespace finetune {

/// Who has which block. Block 0 is nobody's: keys of padding go there.
class BlockPool {
 public:
  /// `blocks`: besides block 0.
  explicit BlockPool(std::int64_t blocks);
  std::int64_t free() const { return static_cast<std::int64_t>(free_.size()); }
  /// There must be a free one.
  std::int32_t take();
  /// One more sequence has it.
  void share(std::int32_t block) { ++owners_[static_cast<std::size_t>(block)]; }
  void give(std::span<const std::int32_t> blocks);

 private:
  std::vector<std::int32_t> free_;    // the lowest last
  std::vector<std::int32_t> owners_;  // per block
};

/// Blocks that hold so many tokens.
constexpr std::int64_t blocks_of(std::int64_t tokens) {
  return (tokens + ops::kCacheBlock - 1) / ops::kCacheBlock;
}

/// The memory itself, on the base's device in its dtype; contents of a block are undefined until written.
class KvCache {
 public:
  KvCache(const DecoderOptions& model, std::int64_t blocks, at::ScalarType dtype, at::Device device);
  const ops::CachedKeys& layer(std::int64_t index) const { return layers_[static_cast<std::size_t>(index)]; }
  static std::int64_t bytes_per_block(const DecoderOptions& model, at::ScalarType dtype);

 private:
  std::vector<ops::CachedKeys> layers_;
};

/// Which of a pack's tokens go where in a cache, and what they see of it.
struct CachedTokens {
  const KvCache* cache = nullptr;
  ops::CacheRows rows;
  bool fresh = false;   ///< all are beginnings: the tokens of the pack are all that is seen
  bool by_row = false;  ///< a token a sequence: products by ops::row_product
};

}  // namespace finetune
