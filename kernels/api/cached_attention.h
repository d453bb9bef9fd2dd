// Attention of a decoding step over keys and values kept in blocks (Kwon et al., "Efficient Memory Management for Large
// Language Model Serving with PagedAttention", SOSP 2023, section 4.1): a sequence is a table of blocks, which
// sequences that begin alike may share. A row's numbers depend on its own sequence alone.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

inline constexpr std::int64_t kCacheBlock = 16;  ///< tokens

/// Keys and values of one layer: `blocks` blocks, in each of which a key/value head has its tokens side by side.
struct CachedKeys {
  void* k;  ///< [blocks, kv_heads, dim, kCacheBlock]: a key is a column, so that scores of a block are one product
  void* v;  ///< [blocks, kv_heads, kCacheBlock, dim]
  std::int64_t kv_heads, dim;
};

/// Keys and values of new tokens go to their places.
struct CacheAppend {
  Type type;
  CachedKeys to;
  const void *k, *v;  ///< [rows, kv_heads * dim]
  std::int64_t k_row, v_row;
  const std::int32_t* places;  ///< block * kCacheBlock + token; below kCacheBlock (block 0): not kept
  std::int64_t rows;
};

/// o = softmax(scale q . k) v of each row over the first `seen` tokens of its sequence.
struct CachedAttention {
  Type type;
  CachedKeys from;
  const void* q;  ///< [rows, heads * dim]
  std::int64_t q_row;
  const std::int32_t* tables;  ///< [sequences, table_row] block numbers
  std::int64_t table_row;
  const std::int32_t* sequences;  ///< of each row
  const std::int32_t* seen;       ///< tokens that the row sees, itself the last of them; at least 1
  std::int64_t rows, heads;
  std::int64_t window;   ///< a token sees itself and window - 1 before it; 0 = all before it
  std::int64_t longest;  ///< of seen, or more
  float scale;
  float softcap;  ///< as in kernels/api/attention.h
  void* o;
  std::int64_t o_row;
};

namespace ref {
Status cache_append(const CacheAppend& args, Stream stream);
Status cached_attention(const CachedAttention& args, Stream stream);
}  // namespace ref

namespace cpu {
Status cache_append(const CacheAppend& args, Stream stream);
Status cached_attention(const CachedAttention& args, Stream stream);
}  // namespace cpu

}  // namespace finetune::kernels
