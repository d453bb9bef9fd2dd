#include "kernels/api/cached_attention.h"

#include <cstddef>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {

Status cache_append(const CacheAppend& a, Stream stream) {
  if (a.type != Type::f32) return kFloat32Only;
  const std::int64_t heads = a.to.kv_heads, dim = a.to.dim;
  in_parallel(stream, a.rows, 4 * heads * dim, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::int64_t block = a.places[r] / kCacheBlock, token = a.places[r] % kCacheBlock;
      if (block == 0) continue;
      const float* k = static_cast<const float*>(a.k) + r * a.k_row;
      const float* v = static_cast<const float*>(a.v) + r * a.v_row;
      for (std::int64_t head = 0; head < heads; ++head) {
        const std::int64_t tile = (block * heads + head) * dim * kCacheBlock;
        float* to_k = static_cast<float*>(a.to.k) + tile + token;
        float* to_v = static_cast<float*>(a.to.v) + tile + token * dim;
        for (std::int64_t i = 0; i < dim; ++i) to_k[i * kCacheBlock] = k[head * dim + i];
        std::copy_n(v + head * dim, dim, to_v);
      }
    }
  });
  return {};
}

std::int64_t cached_attention_scratch(const CachedAttention& a) {
  const std::int64_t width = (a.longest + 2 * kCacheBlock) / kCacheBlock * kCacheBlock;
  return a.heads / a.from.kv_heads * width;
}

Status cached_attention(const CachedAttention& a, Stream stream) {
  if (a.type != Type::f32) return kFloat32Only;
  const std::int64_t kv_heads = a.from.kv_heads;
  const std::int64_t operations = a.heads / kv_heads * a.longest * (a.from.dim / 4 + 4);
  in_parallel(stream, a.rows * kv_heads, operations, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> scratch(static_cast<std::size_t>(cached_attention_scratch(a)));
    for (std::int64_t item = first; item < last; ++item)
      table().cached_attention(a, item / kv_heads, item % kv_heads, scratch.data());
  });
  return {};
}

}  // namespace finetune::kernels::cpu
