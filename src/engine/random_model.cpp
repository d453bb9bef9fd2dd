#include "engine/random_model.h"

#include <ATen/ATen.h>

#include <tuple>

#include "core/random.h"
#include "engine/memory.h"

namespace finetune {

DecoderBase random_base(const DecoderOptions& o, at::ScalarType dtype, at::Device device) {
  const auto storage = at::TensorOptions(dtype).device(device);
  DecoderBase base;
  base.options = o;
  base.blocks.resize(static_cast<std::size_t>(o.layers));
  for_each_tensor(o, base, [&](const TensorRows& rows, at::Tensor& tensor) {
    tensor = at::ones(rows.shape(), storage);
    if (rows.columns > 0) tensor.normal_(0, 0.02);
  });
  widen_vectors(base);
  if (o.tied_head) base.head_VD = base.embed_VD;
  std::tie(base.cos_PK, base.sin_PK) = rotary_tables(o.rotary, o.max_positions, device);
  return base;
}

std::vector<Example> random_rows(std::int64_t count, std::int64_t shortest, std::int64_t longest,
                                 std::int64_t vocabulary) {
  std::vector<Example> rows(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Random random(1, Purpose::test, i);
    const auto length =
        shortest + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(longest - shortest + 1)));
    for (std::int64_t t = 0; t < length; ++t) {
      rows[i].ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary))));
      rows[i].loss.push_back(t > 0 ? 1 : 0);
    }
  }
  return rows;
}

double flops_per_token(const DecoderOptions& o, double row, std::int64_t rank, bool full) {
  const auto head = static_cast<double>(o.vocab_size * o.width);
  const double blocks = static_cast<double>(base_parameters(o)) - head * (o.tied_head ? 1 : 2);
  const double adapters = full ? 0 : static_cast<double>(adapter_parameters(o, rank, ProjectionSet::all()));
  const double attention = 7 * row * static_cast<double>(o.heads * o.head_dim * o.layers);
  return (full ? 6 : 4) * (blocks + head) + 6 * adapters + attention;
}

}  // namespace finetune
