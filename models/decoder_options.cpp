#include "models/decoder_options.h"

namespace finetune {

std::vector<Projection> ProjectionSet::members() const {
  std::vector<Projection> list;
  for (const Projection p : kAllProjections) {
    if (has(p)) list.push_back(p);
  }
  return list;
}

ProjectionSet projections_of(const DecoderOptions& options) {
  using enum Projection;
  return options.fused ? ProjectionSet{qkv, o, gate_up, down} : ProjectionSet::all();
}

std::string projection_path(const DecoderOptions& options, std::int64_t layer, Projection projection) {
  const char* part = is_attention(projection) ? ".self_attn." : ".mlp.";
  return options.root + ".layers." + std::to_string(layer) + part + name_of(projection);
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
    case Projection::qkv:
      return (options.heads + 2 * options.kv_heads) * options.head_dim;
    case Projection::gate_up:
      return 2 * options.mlp_width;
  }
  return 0;
}

bool projection_has_bias(const DecoderOptions& options, Projection projection) {
  if (projection == Projection::o) return options.o_bias;
  return is_attention(projection) ? options.qkv_bias : options.mlp_bias;
}

AngleRows angle_rows(const DecoderOptions& options) {
  if (options.rotary.long_frequencies.empty()) return {};
  return {.long_from = options.rotary.long_from, .offset = options.max_positions};
}

}  // namespace finetune
