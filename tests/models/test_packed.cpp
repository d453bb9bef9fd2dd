// Quantised matrices beside bitsandbytes' own (tests/golden/quantize.py), and checkpoints that are quantised while they
// are read.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "core/files.h"
#include "models/checkpoint.h"
#include "models/model_files.h"
#include "models/safetensors.h"
#include "support/counting_allocator.h"
#include "support/goldens.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, Quantization> kKinds{{"nf4", {.code = kernels::Code::nf4}},
                                                 {"nf4_doubled", {.code = kernels::Code::nf4, .doubled = true}},
                                                 {"int8", {.code = kernels::Code::int8}}};

class Packed : public ::testing::TestWithParam<std::string> {
 protected:
  const Quantization& kind() const { return kKinds.at(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Kinds, Packed, ::testing::Values("nf4", "nf4_doubled", "int8"),
                         [](const auto& info) { return info.param; });

std::int64_t bytes_of(const ops::PackedMatrix& m) {
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : {m.codes, m.absmax, m.absmax_codes, m.offset})
    if (tensor.defined()) bytes += static_cast<std::int64_t>(tensor.nbytes());
  return bytes;
}

// Bit for bit. Only the mean of doubly quantised absmax may differ in its last bit on a processor whose LibTorch sums
// with other registers than that on which the golden was made; everything else is single products.
TEST_P(Packed, NumbersAreThoseOfBitsandbytes) {
  const SafetensorsFile golden(golden_path("quantized.safetensors"));
  std::size_t matrices = 0;
  for (const TensorEntry& entry : golden.header().tensors) {
    if (entry.name.find('.') != std::string::npos) continue;
    const at::Tensor weight = golden.read(entry), expected = golden.read(*golden.find(entry.name + "." + GetParam()));
    const ops::PackedMatrix packed = quantize(weight, kind(), entry.name);
    const at::Tensor actual = dequantized(packed, at::kFloat);
    const double bound = kind().doubled ? 2e-7 * expected.abs().max().item<double>() : 0;
    EXPECT_LE((actual - expected).abs().max().item<double>(), bound) << entry.name;
    EXPECT_TRUE(at::equal(dequantized(packed, at::kBFloat16), actual.to(at::kBFloat16))) << entry.name;
    EXPECT_EQ(bytes_of(packed), matrix_bytes(kind(), weight.size(0), weight.size(1), 4)) << entry.name;
    ++matrices;
  }
  EXPECT_EQ(matrices, 6u);
}

// A checkpoint's projections are quantised module by module, also where they are one product; everything else stays.
TEST_P(Packed, ACheckpointsProjectionsAreQuantisedWhileItIsRead) {
  for (const char* name : {"llama", "phi3", "qwen3"}) {
    const auto folder = golden_path("models") / name;
    const BaseModel dense = load_checkpoint(folder, at::kFloat);
    BaseModel model = load_checkpoint(folder, at::kFloat, kind());
    EXPECT_FALSE(model.weights.blocks.front().qkv_ED.defined());
    std::int64_t bytes = 0;
    for (const PackedBlock& block : model.packed)
      for (const PackedStack& stack : block)
        for (const ops::PackedMatrix& matrix : stack) bytes += bytes_of(matrix);
    for_each_tensor(model.options, model.weights, [&](const TensorRows&, const at::Tensor& tensor) {
      if (tensor.defined()) bytes += static_cast<std::int64_t>(tensor.nbytes());
    });
    EXPECT_EQ(bytes, base_bytes(model.options, kind(), 4)) << name;
    dequantize(model);
    EXPECT_EQ(model.quantization, Quantization{});
    const auto numbers = named_tensors(model), originals = named_tensors(dense);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const bool projection = numbers[i].first.ends_with("_proj.weight");
      const at::Tensor& original = originals[i].second;
      const at::Tensor expected = projection ? dequantized(quantize(original, kind(), ""), at::kFloat) : original;
      EXPECT_TRUE(at::equal(numbers[i].second, expected)) << numbers[i].first;
      EXPECT_NE(at::equal(numbers[i].second, original), projection) << numbers[i].first;
    }
  }
}

// The result and one tensor, in the file's dtype and in fp32, with what the quantiser works in: 1 << 20 elements.
TEST(PackedMatrix, WhileItIsReadThereIsOneDenseTensor) {
  const fs::path folder = fs::temp_directory_path() / ("finetune_packed_" + std::to_string(getpid()));
  fs::create_directories(folder);
  const std::int64_t width = 512, mlp_width = 4096, layers = 6, vocabulary = 64;
  write_file_atomically(
      folder / "config.json",
      std::string_view(R"({"model_type":"llama","vocab_size":64,"hidden_size":512,"intermediate_size":4096,
    "num_hidden_layers":6,"num_attention_heads":4,"num_key_value_heads":4,"max_position_embeddings":64,
    "rms_norm_eps":1e-5,"rope_theta":10000.0,"hidden_act":"silu","tie_word_embeddings":true})"));
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    tensors.emplace_back("model." + name + ".weight", at::full(shape, 0.5, at::kBFloat16));
  };
  add("embed_tokens", {vocabulary, width});
  add("norm", {width});
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::string block = "layers." + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(block + norm, {width});
    for (const char* p : {"q", "k", "v", "o"}) add(block + "self_attn." + p + "_proj", {width, width});
    for (const char* p : {"gate", "up"}) add(block + "mlp." + p + "_proj", {mlp_width, width});
    add(block + "mlp.down_proj", {width, mlp_width});
  }
  write_safetensors(folder / "model.safetensors", tensors);
  tensors.clear();
  for (const char* kind : {"nf4", "int8"}) {
    const CountingAllocator counting;
    const BaseModel model = load_checkpoint(folder, at::kFloat, kKinds.at(kind));
    EXPECT_GT(model.packed.size(), 0u);
    EXPECT_LT(static_cast<std::int64_t>(counting.bytes->used),
              base_bytes(model.options, kKinds.at(kind), 4) + (std::int64_t{1} << 20))
        << kind;
    const auto beside = static_cast<std::int64_t>(counting.bytes->peak - counting.bytes->used);
    const std::int64_t largest = width * mlp_width, dense = layers * (3 * largest + 4 * width * width) * 2;
    EXPECT_LT(beside, largest * (2 + 4) + (std::int64_t{8} << 20)) << kind;
    EXPECT_LT(beside, dense / 3) << kind << ": the bound tells something";
  }
  fs::remove_all(folder);
}

TEST(PackedMatrix, ANumberBeyondFloat16CannotBeScaled) {
  const at::Tensor weight = at::full({2, 3}, 70000.0f);
  EXPECT_TRUE(holds(error_of([&] { quantize(weight, kKinds.at("int8"), "model.layers.0.mlp.up_proj.weight"); }),
                    "model.layers.0.mlp.up_proj.weight: holds a number beyond float16"));
  EXPECT_TRUE(at::equal(dequantized(quantize(weight, kKinds.at("nf4"), ""), at::kFloat), weight));
}

}  // namespace
}  // namespace finetune::testing
