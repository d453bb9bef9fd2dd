#include "models/rope.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "models/families/config_reader.h"

namespace finetune {
namespace {

at::Tensor default_frequencies(double theta, std::int64_t dim) {
  const at::Tensor exponents = at::arange(0, dim, 2, at::kLong).to(at::kFloat) / dim;
  return 1.0 / at::pow(at::Scalar(theta), exponents);
}

at::Tensor llama3_frequencies(const at::Tensor& frequencies, double factor, double low, double high, double original) {
  const at::Tensor wavelengths = 2 * std::numbers::pi / frequencies;
  const at::Tensor stretched = at::where(wavelengths.gt(original / low), frequencies / factor, frequencies);
  const at::Tensor smooth = (original / wavelengths - low) / (high - low);
  const at::Tensor blended = (1 - smooth) * stretched / factor + smooth * stretched;
  const at::Tensor medium = wavelengths.lt(original / high).logical_not().logical_and(wavelengths.gt(original / low).logical_not());
  return at::where(medium, blended, stretched);
}

struct Yarn {
  double factor, original, beta_fast, beta_slow;
  bool truncate;
};

at::Tensor yarn_frequencies(double theta, std::int64_t dim, const Yarn& yarn) {
  const auto correction = [&](double rotations) {
    return static_cast<double>(dim) * std::log(yarn.original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = correction(yarn.beta_fast), high = correction(yarn.beta_slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  const at::Tensor powers = at::pow(at::Scalar(theta), at::arange(0, dim, 2, at::kFloat) / dim);
  const at::Tensor extrapolated = 1.0 / powers, interpolated = 1.0 / (yarn.factor * powers);
  const at::Tensor ramp = ((at::arange(dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const at::Tensor share = 1 - ramp;
  return interpolated * (1 - share) + extrapolated * share;
}

double yarn_attention_factor(const ConfigReader& rope, double factor) {
  const auto mscale_of = [](double scale, double mscale) { return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0; };
  if (const auto given = rope.optional_number("attention_factor")) return *given;
  const auto mscale = rope.optional_number("mscale"), all = rope.optional_number("mscale_all_dim");
  if (mscale && all && *mscale != 0 && *all != 0) return mscale_of(factor, *mscale) / mscale_of(factor, *all);
  return mscale_of(factor, 1);
}

}  // namespace

RotaryOptions rotary_options(const std::string& where, const nlohmann::ordered_json& json, std::int64_t head_dim,
                             std::int64_t max_positions, double default_theta) {
  const ConfigReader config(where, json);
  const bool version5 = config.has("rope_parameters");
  const ConfigReader rope = config.object(version5 ? "rope_parameters" : "rope_scaling");
  const double theta = version5 ? rope.number("rope_theta", config.number("rope_theta", default_theta))
                                : config.number("rope_theta", default_theta);
  config.require(theta > 1 && std::isfinite(theta), "rope_theta", "must be above 1");
  for (const auto* reader : {&config, &rope}) {
    const double partial = reader->number("partial_rotary_factor", 1);
    reader->require(partial == 1, "partial_rotary_factor", "other than 1 is not supported");
  }
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  const double factor = rope.number("factor", 1);
  rope.require(factor > 0 && std::isfinite(factor), "factor", "must be positive");
  const auto positive = [&](const char* key, double otherwise) {
    const double value = rope.number(key, otherwise);
    rope.require(value > 0 && std::isfinite(value), key, "must be positive");
    return value;
  };
  const auto positions = static_cast<double>(max_positions);
  RotaryOptions options;
  at::Tensor frequencies = default_frequencies(theta, head_dim);
  if (type == "linear") {
    frequencies = frequencies / factor;
  } else if (type == "llama3") {
    frequencies = llama3_frequencies(frequencies, factor, positive("low_freq_factor", 1), positive("high_freq_factor", 4),
                                     positive("original_max_position_embeddings", positions));
  } else if (type == "yarn") {
    const double original = positive("original_max_position_embeddings", positions);
    const double stretch = rope.has("factor") ? factor : positions / original;
    frequencies = yarn_frequencies(theta, head_dim, {stretch, original, positive("beta_fast", 32), positive("beta_slow", 1),
                                                     rope.flag("truncate", true)});
    options.attention_factor = static_cast<float>(yarn_attention_factor(rope, stretch));
  } else if (type != "default" && type != "dynamic") {
    rope.require(false, "rope_type", type + " is not supported; default, linear, dynamic, llama3 and yarn are");
  }
  const at::Tensor contiguous = frequencies.to(at::kFloat).contiguous();
  options.inverse_frequencies.assign(contiguous.const_data_ptr<float>(), contiguous.const_data_ptr<float>() + head_dim / 2);
  return options;
}

}  // namespace finetune
