#include "models/rope.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "models/families/config_reader.h"

namespace finetune {
namespace {

// Python's number / tensor, which is not one rounded division: it shows in the last bit of llama3's frequencies.
at::Tensor over(double number, const at::Tensor& tensor) {
  return tensor.reciprocal() * number;
}

at::Tensor default_frequencies(double theta, std::int64_t dim) {
  const at::Tensor exponents = at::arange(0, dim, 2, at::kLong).to(at::kFloat) / dim;
  return over(1.0, at::pow(at::Scalar(theta), exponents));
}

at::Tensor llama3_frequencies(const at::Tensor& frequencies, double factor, double low, double high, double original) {
  const at::Tensor wavelengths = over(2 * std::numbers::pi, frequencies);
  const at::Tensor stretched = at::where(wavelengths.gt(original / low), frequencies / factor, frequencies);
  const at::Tensor smooth = (over(original, wavelengths) - low) / (high - low);
  const at::Tensor blended = (1 - smooth) * stretched / factor + smooth * stretched;
  const at::Tensor medium =
      wavelengths.lt(original / high).logical_not().logical_and(wavelengths.gt(original / low).logical_not());
  return at::where(medium, blended, stretched);
}

struct Yarn {
  double factor, original, beta_fast, beta_slow;
  bool truncate;
};

at::Tensor yarn_frequencies(double theta, std::int64_t dim, const Yarn& yarn) {
  const auto correction = [&](double rotations) {
    return static_cast<double>(dim) * std::log(yarn.original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
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
  const at::Tensor extrapolated = over(1.0, powers), interpolated = over(1.0, yarn.factor * powers);
  const at::Tensor ramp = ((at::arange(dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const at::Tensor share = 1 - ramp;
  return interpolated * (1 - share) + extrapolated * share;
}

double yarn_attention_factor(const ConfigReader& rope, double factor) {
  const auto mscale_of = [](double scale, double mscale) {
    return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
  };
  if (const auto given = rope.optional_number("attention_factor")) return *given;
  const auto mscale = rope.optional_number("mscale"), all = rope.optional_number("mscale_all_dim");
  if (mscale && all && *mscale != 0 && *all != 0) return mscale_of(factor, *mscale) / mscale_of(factor, *all);
  return mscale_of(factor, 1);
}

// The elements of a head that are turned.
std::int64_t turned_elements(const ConfigReader& config, const ConfigReader& rope, const RotaryShape& shape) {
  double part = 1;
  for (const auto* reader : {&config, &rope}) {
    part = reader->number("partial_rotary_factor", part);
    reader->require(part == 1 || shape.partial, "partial_rotary_factor", "other than 1 is not supported");
    reader->require(part > 0 && part <= 1, "partial_rotary_factor", "must be above 0 and at most 1");
  }
  const auto elements = static_cast<std::int64_t>(part * static_cast<double>(shape.head_dim));
  config.require(elements >= 2 && elements % 2 == 0, "partial_rotary_factor",
                 "must leave an even number of elements of a head");
  return elements;
}

// Per pair of elements: what a theta's powers are multiplied by.
at::Tensor stretch_factors(const ConfigReader& rope, const char* key, std::int64_t pairs) {
  rope.require(rope.has(key), key, "is missing");
  const auto& list = rope.json()[key];
  const auto is_factor = [](const nlohmann::ordered_json& x) { return x.is_number() && x.get<double>() > 0; };
  rope.require(
      list.is_array() && static_cast<std::int64_t>(list.size()) == pairs && std::ranges::all_of(list, is_factor), key,
      "must be " + std::to_string(pairs) + " positive numbers");
  return at::tensor(at::ArrayRef<double>(list.get<std::vector<double>>()), at::kDouble).to(at::kFloat);
}

at::Tensor longrope_frequencies(double theta, std::int64_t dim, const at::Tensor& factors) {
  return over(1.0, factors * at::pow(at::Scalar(theta), at::arange(0, dim, 2, at::kLong).to(at::kFloat) / dim));
}

double longrope_attention_factor(const ConfigReader& rope, double factor, double original) {
  if (const auto given = rope.optional_number("attention_factor")) return *given;
  return factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(original));
}

// The settings as transformers 5 gathers them: the old key wins where both are filled.
ConfigReader rope_settings(const ConfigReader& config) {
  const bool old = config.has("rope_scaling") && !config.object("rope_scaling").json().empty();
  const ConfigReader rope = config.object(old ? "rope_scaling" : "rope_parameters");
  for (const auto& [key, value] : rope.json().items()) {
    rope.require(!value.is_object(), key.c_str(), "sets the rotary embedding by layer type, which is not supported");
  }
  return rope;
}

double positive(const ConfigReader& rope, const char* key, std::optional<double> otherwise = std::nullopt) {
  rope.require(rope.has(key) || otherwise, key, "is missing");
  const double value = rope.number(key, otherwise.value_or(0));
  rope.require(value > 0 && std::isfinite(value), key, "must be positive");
  return value;
}

}  // namespace

static std::vector<float> usable(const ConfigReader& rope, const std::string& type, const at::Tensor& frequencies) {
  const at::Tensor values = frequencies.to(at::kFloat).contiguous();
  rope.require(at::isfinite(values).logical_and(values.gt(0)).all().item<bool>(), "rope_type",
               type + ": its settings give frequencies that are not finite and positive");
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

RotaryOptions rotary_options(const std::string& where, const nlohmann::ordered_json& json, const RotaryShape& shape) {
  const ConfigReader config(where, json);
  const ConfigReader rope = rope_settings(config);
  const std::int64_t dim = turned_elements(config, rope, shape);
  const double theta = rope.number("rope_theta", config.number("rope_theta", shape.default_theta));
  config.require(theta > 1 && std::isfinite(theta), "rope_theta", "must be above 1");
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  const auto positions = static_cast<double>(shape.max_positions);
  // The length before stretching; the top level goes first, where Phi-3 keeps it.
  const auto original = [&] {
    const char* key = "original_max_position_embeddings";
    return config.has(key) ? positive(config, key) : positive(rope, key, positions);
  };
  RotaryOptions options;
  at::Tensor frequencies = default_frequencies(theta, dim);
  if (type == "linear") {
    frequencies = frequencies / positive(rope, "factor");
  } else if (type == "llama3") {
    frequencies = llama3_frequencies(frequencies, positive(rope, "factor"), positive(rope, "low_freq_factor"),
                                     positive(rope, "high_freq_factor"), original());
  } else if (type == "yarn") {
    const double factor = positive(rope, "factor", positions / original());
    frequencies = yarn_frequencies(theta, dim,
                                   {factor, original(), positive(rope, "beta_fast", 32), positive(rope, "beta_slow", 1),
                                    rope.flag("truncate", true)});
    options.attention_factor = static_cast<float>(yarn_attention_factor(rope, factor));
  } else if (type == "longrope") {
    const double factor = positive(rope, "factor", positions / original());
    frequencies = longrope_frequencies(theta, dim, stretch_factors(rope, "short_factor", dim / 2));
    options.attention_factor = static_cast<float>(longrope_attention_factor(rope, factor, original()));
    options.long_from = static_cast<std::int64_t>(original());
    options.long_frequencies =
        usable(rope, type, longrope_frequencies(theta, dim, stretch_factors(rope, "long_factor", dim / 2)));
  } else if (type != "default" && type != "dynamic") {
    rope.require(false, "rope_type",
                 type + " is not supported; default, linear, dynamic, llama3, yarn and longrope are");
  }
  options.inverse_frequencies = usable(rope, type, frequencies);
  rope.require(std::isfinite(options.attention_factor), "rope_type", type + ": its attention factor is not finite");
  return options;
}

}  // namespace finetune
