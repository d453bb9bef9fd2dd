// Attention: an item is one head of one segment; in the backward one key/value head, whose query heads add to it in
// their order.
#include <memory>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

// work(segment, head, scratch) for every segment and each of `heads`. `operations`: of a head, for a pair of tokens.
template <typename Work>
void over_heads(const Attention& a, std::int64_t heads, std::int64_t operations, Stream stream, const Work& work) {
  const std::int64_t tokens = a.segments > 0 ? a.bounds[a.segments] - a.bounds[0] : 0;
  const std::int64_t mean = tokens / std::max<std::int64_t>(1, a.segments);
  in_parallel(stream, a.segments * heads, mean * mean * operations, [&](std::int64_t first, std::int64_t last) {
    const auto scratch =
        std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(attention_scratch(a.longest, a.dim)));
    for (std::int64_t item = first; item < last; ++item) work(item / heads, item % heads, scratch.get());
  });
}

// One key/value head of a segment.
void zero_head(void* to, std::int64_t row, const Attention& a, std::int64_t segment, std::int64_t kv_head) {
  for (std::int64_t t = a.bounds[segment]; t < a.bounds[segment + 1]; ++t)
    std::fill_n(static_cast<float*>(to) + t * row + kv_head * a.dim, a.dim, 0.0f);
}

}  // namespace

std::int64_t attention_scratch(std::int64_t tokens, std::int64_t dim) {
  const std::int64_t padded = (tokens + 15) / 16 * 16;
  return 2 * dim * padded + 3 * 32 * (padded + 16);  // scores, their gradient, slopes of the cap
}

Status attention_forward(const AttentionForward& args, Stream stream) {
  const Attention& a = args.of;
  if (a.type != Type::f32) return kFloat32Only;
  over_heads(a, a.heads, 2 * a.dim + 16, stream, [&](std::int64_t segment, std::int64_t head, float* scratch) {
    table().attention_forward(args, segment, head, scratch);
  });
  return {};
}

Status attention_backward(const AttentionBackward& args, Stream stream) {
  const Attention& a = args.of;
  if (a.type != Type::f32) return kFloat32Only;
  const std::int64_t group = a.heads / a.kv_heads;
  over_heads(a, a.kv_heads, group * (5 * a.dim + 16), stream,
             [&](std::int64_t segment, std::int64_t kv_head, float* scratch) {
               zero_head(args.dk, args.dk_row, a, segment, kv_head);
               zero_head(args.dv, args.dv_row, a, segment, kv_head);
               for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
                 table().attention_backward(args, segment, head, scratch);
             });
  return {};
}

}  // namespace finetune::kernels::cpu
