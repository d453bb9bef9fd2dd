#include "engine/shapes.h"

#include <cmath>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

struct Shape {
  const char *name, *family;
  std::int64_t width, mlp_width, layers, heads, kv_heads, head_dim, vocab_size;
  bool tied_head, qkv_bias, qk_norm;
};
constexpr Shape kShapes[] = {
    {"tiny", "llama", 64, 96, 2, 4, 2, 16, 257, true, false, false},
    {"smollm2-135m", "llama", 576, 1536, 30, 9, 3, 64, 49152, true, false, false},
    {"qwen2.5-0.5b", "qwen2", 896, 4864, 24, 14, 2, 64, 151936, true, true, false},
    {"qwen3-0.6b", "qwen3", 1024, 3072, 28, 16, 8, 128, 151936, true, false, true},
    {"llama-3.2-1b", "llama", 2048, 8192, 16, 32, 8, 64, 128256, true, false, false},
    {"qwen2.5-1.5b", "qwen2", 1536, 8960, 28, 12, 2, 128, 151936, true, true, false},
    {"qwen3-1.7b", "qwen3", 2048, 6144, 28, 16, 8, 128, 151936, true, false, true},
    {"qwen3-4b", "qwen3", 2560, 9728, 36, 32, 8, 128, 151936, true, false, true},
    {"qwen2.5-7b", "qwen2", 3584, 18944, 28, 28, 4, 128, 152064, false, true, false},
    {"llama-3.1-8b", "llama", 4096, 14336, 32, 32, 8, 128, 128256, false, false, false},
};

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

DecoderOptions shape_of(const std::string& where, const std::string& name, std::int64_t max_positions) {
  for (const Shape& s : kShapes) {
    if (name != s.name) continue;
    DecoderOptions o;
    o.family = s.family;
    o.vocab_size = s.vocab_size;
    o.width = s.width;
    o.mlp_width = s.mlp_width;
    o.layers = s.layers;
    o.heads = s.heads;
    o.kv_heads = s.kv_heads;
    o.head_dim = s.head_dim;
    o.max_positions = max_positions;
    o.tied_head = s.tied_head;
    o.qkv_bias = s.qkv_bias;
    if (s.qk_norm) o.qk_norm = QkNorm::head;
    o.window.assign(static_cast<std::size_t>(s.layers), 0);
    for (std::int64_t i = 0; i < s.head_dim / 2; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(s.head_dim);
      o.rotary.inverse_frequencies.push_back(static_cast<float>(std::pow(1e6, exponent)));
    }
    return o;
  }
  throw bad_input("", where + ": " + name + " is not one of " + join(shape_names(), ", "));
}

}  // namespace finetune
