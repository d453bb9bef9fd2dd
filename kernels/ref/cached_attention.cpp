#include "kernels/api/cached_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

// Where element i of a token's key and value stands.
std::int64_t tile_of(const CachedKeys& keys, std::int64_t place, std::int64_t head) {
  return (place / kCacheBlock * keys.kv_heads + head) * keys.dim * kCacheBlock;
}
std::int64_t key_at(const CachedKeys& keys, std::int64_t place, std::int64_t head, std::int64_t i) {
  return tile_of(keys, place, head) + i * kCacheBlock + place % kCacheBlock;
}
std::int64_t value_at(const CachedKeys& keys, std::int64_t place, std::int64_t head, std::int64_t i) {
  return tile_of(keys, place, head) + place % kCacheBlock * keys.dim + i;
}

void attend(const CachedAttention& a, std::int64_t row, std::int64_t head) {
  const std::int64_t kv_head = head / (a.heads / a.from.kv_heads), dim = a.from.dim, seen = a.seen[row];
  const std::int64_t first = a.window > 0 ? std::max<std::int64_t>(0, seen - a.window) : 0;
  const auto place = [&](std::int64_t t) {
    return a.tables[a.sequences[row] * a.table_row + t / kCacheBlock] * kCacheBlock + t % kCacheBlock;
  };
  std::vector<double> p;
  double top = -std::numeric_limits<double>::infinity(), total = 0;
  for (std::int64_t t = first; t < seen; ++t) {
    double dot = 0;
    for (std::int64_t i = 0; i < dim; ++i) {
      dot += read(a.type, a.q, row * a.q_row + head * dim + i) *
             read(a.type, a.from.k, key_at(a.from, place(t), kv_head, i));
    }
    p.push_back(a.softcap > 0 ? a.softcap * std::tanh(dot * a.scale / a.softcap) : dot * a.scale);
    top = std::max(top, p.back());
  }
  for (double& value : p) total += value = std::exp(value - top);
  for (std::int64_t i = 0; i < dim; ++i) {
    double o = 0;
    for (std::int64_t t = first; t < seen; ++t) {
      o += p[static_cast<std::size_t>(t - first)] / total *
           read(a.type, a.from.v, value_at(a.from, place(t), kv_head, i));
    }
    write(a.type, a.o, row * a.o_row + head * dim + i, o);
  }
}

}  // namespace

Status cache_append(const CacheAppend& a, Stream) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    if (a.places[r] < kCacheBlock) continue;
    for (std::int64_t head = 0; head < a.to.kv_heads; ++head) {
      for (std::int64_t i = 0; i < a.to.dim; ++i) {
        write(a.type, a.to.k, key_at(a.to, a.places[r], head, i), read(a.type, a.k, r * a.k_row + head * a.to.dim + i));
        write(a.type, a.to.v, value_at(a.to, a.places[r], head, i),
              read(a.type, a.v, r * a.v_row + head * a.to.dim + i));
      }
    }
  }
  return {};
}

Status cached_attention(const CachedAttention& a, Stream) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t head = 0; head < a.heads; ++head) attend(a, row, head);
  }
  return {};
}

}  // namespace finetune::kernels::ref
