#include "models/decoder_options.h"

namespace finetune {

std::vector<Projection> ProjectionSet::members() const {
  std::vector<Projection> list;
  for (const Projection p : kAllProjections) {
    if (has(p)) list.push_back(p);
  }
  return list;
}

std::string projection_path(std::int64_t layer, Projection projection) {
  const char* part = projection <= Projection::o ? ".self_attn." : ".mlp.";
  return "model.layers." + std::to_string(layer) + part + name_of(projection);
}

std::int64_t projection_in(const DecoderOptions& options, Projection projection) {
  switch (projection) {
    case Projection::o:
      return options.heads * options.head_dim;
    case Projection::down:
      return options.mlp_width;
    default:
      return options.width;
  }
}

std::int64_t projection_out(const DecoderOptions& options, Projection projection) {
  switch (projection) {
    case Projection::q:
      return options.heads * options.head_dim;
    case Projection::k:
    case Projection::v:
      return options.kv_heads * options.head_dim;
    case Projection::gate:
    case Projection::up:
      return options.mlp_width;
    case Projection::o:
    case Projection::down:
      return options.width;
  }
  return 0;
}

bool projection_has_bias(const DecoderOptions& options, Projection projection) {
  if (projection == Projection::o) return options.o_bias;
  return projection < Projection::o ? options.qkv_bias : options.mlp_bias;
}

}  // namespace finetune
