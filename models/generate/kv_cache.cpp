#include "models/generate/kv_cache.h"

#include <ATen/ATen.h>

namespace finetune {

BlockPool::BlockPool(std::int64_t blocks) : owners_(static_cast<std::size_t>(blocks + 1)) {
  for (std::int64_t block = blocks; block > 0; --block) free_.push_back(static_cast<std::int32_t>(block));
}

std::int32_t BlockPool::take() {
  const std::int32_t block = free_.back();
  free_.pop_back();
  owners_[static_cast<std::size_t>(block)] = 1;
  return block;
}

void BlockPool::give(std::span<const std::int32_t> blocks) {
  for (const std::int32_t block : blocks) {
    if (--owners_[static_cast<std::size_t>(block)] == 0) free_.push_back(block);
  }
}

KvCache::KvCache(const DecoderOptions& model, std::int64_t blocks, at::ScalarType dtype, at::Device device) {
  const auto options = at::TensorOptions().dtype(dtype).device(device);
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    ops::CachedKeys keys;
    keys.k_NGKC = at::empty({blocks + 1, model.kv_heads, model.head_dim, ops::kCacheBlock}, options);
    keys.v_NGCK = at::empty({blocks + 1, model.kv_heads, ops::kCacheBlock, model.head_dim}, options);
    keys.k_NGKC.select(0, 0).zero_();  // rows of padding read block 0
    keys.v_NGCK.select(0, 0).zero_();
    layers_.push_back(std::move(keys));
  }
}

std::int64_t KvCache::bytes_per_block(const DecoderOptions& model, at::ScalarType dtype) {
  return 2 * model.layers * model.kv_heads * model.head_dim * ops::kCacheBlock *
         static_cast<std::int64_t>(at::elementSize(dtype));
}

}  // namespace finetune
