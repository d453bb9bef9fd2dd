#include "engine/calibration/kernel_shape.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/adapter_bank.h"

namespace finetune {
namespace {

struct Number {
  const char* name;
  std::int64_t KernelShape::*member;
  std::int64_t least, most;
};
constexpr std::int64_t kMost = std::int64_t{1} << 24;
constexpr Number kNumbers[] = {
    {"width", &KernelShape::width, 1, kMost},           {"mlp_width", &KernelShape::mlp_width, 1, kMost},
    {"layers", &KernelShape::layers, 1, 4096},          {"heads", &KernelShape::heads, 1, 4096},
    {"kv_heads", &KernelShape::kv_heads, 1, 4096},      {"head_dim", &KernelShape::head_dim, 2, 4096},
    {"vocab_size", &KernelShape::vocab_size, 1, kMost}, {"rank", &KernelShape::rank, 1, 4096},
    {"window", &KernelShape::window, 0, kMost}};

}  // namespace

KernelShape kernel_shape_of(const DecoderOptions& model, std::int64_t rank) {
  const bool all_slide = !model.window.empty() && std::ranges::all_of(model.window, [](auto w) { return w > 0; });
  return {.width = model.width,
          .mlp_width = model.mlp_width,
          .layers = model.layers,
          .heads = model.heads,
          .kv_heads = model.kv_heads,
          .head_dim = model.head_dim,
          .vocab_size = model.vocab_size,
          .rank = computed_rank(rank),
          .window = all_slide ? std::ranges::max(model.window) : 0,
          .softcap = model.attention_softcap,
          .gelu = model.activation != kernels::Activation::silu,
          .unit_offset_norm = model.unit_offset_norm};
}

DecoderOptions decoder_of(const KernelShape& shape, std::int64_t layers, std::int64_t max_positions) {
  DecoderOptions o;
  o.family = "llama";
  o.vocab_size = shape.vocab_size;
  o.width = shape.width;
  o.mlp_width = shape.mlp_width;
  o.layers = layers;
  o.heads = shape.heads;
  o.kv_heads = shape.kv_heads;
  o.head_dim = shape.head_dim;
  o.max_positions = max_positions;
  o.tied_head = true;
  o.unit_offset_norm = shape.unit_offset_norm;
  o.activation = shape.gelu ? kernels::Activation::gelu_tanh : kernels::Activation::silu;
  o.attention_softcap = shape.softcap;
  o.window.assign(static_cast<std::size_t>(layers), shape.window);
  for (std::int64_t i = 0; i < shape.head_dim / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim);
    o.rotary.inverse_frequencies.push_back(static_cast<float>(std::pow(10000.0, exponent)));
  }
  return o;
}

nlohmann::ordered_json to_json(const KernelShape& shape) {
  nlohmann::ordered_json json;
  for (const Number& number : kNumbers) json[number.name] = shape.*number.member;
  json["softcap"] = shape.softcap;
  json["gelu"] = shape.gelu;
  json["unit_offset_norm"] = shape.unit_offset_norm;
  return json;
}

KernelShape kernel_shape_from_json(const std::string& where, const nlohmann::ordered_json& json) {
  KernelShape shape;
  const auto member = [&](const char* name) {
    if (!json.is_object() || !json.contains(name)) throw bad_input(where, std::string("a shape has no ") + name);
    return json[name];
  };
  for (const Number& number : kNumbers) {
    const auto value = member(number.name);
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(number.least) ||
        value.get<double>() > static_cast<double>(number.most))
      throw bad_input(where, std::string(number.name) + " of a shape cannot be " + value.dump().substr(0, 40));
    shape.*number.member = value.get<std::int64_t>();
  }
  const auto softcap = member("softcap"), gelu = member("gelu"), offset = member("unit_offset_norm");
  if (!softcap.is_number() || !(softcap.get<double>() >= 0) || !gelu.is_boolean() || !offset.is_boolean() ||
      shape.heads % shape.kv_heads != 0 || shape.head_dim % 2 != 0)
    throw bad_input(where, "a shape that no decoder has");
  shape.softcap = softcap.get<double>();
  shape.gelu = gelu.get<bool>();
  shape.unit_offset_norm = offset.get<bool>();
  return shape;
}

}  // namespace finetune
