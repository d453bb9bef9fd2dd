// Quantised matrices beside bitsandbytes' own (tests/golden/quantize.py), and checkpoints that are quantised while they
// are read.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "models/checkpoint.h"
#include "models/model_files.h"
#include "models/safetensors.h"
#include "support/goldens.h"

namespace finetune::testing {
namespace {

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

TEST(PackedMatrix, ANumberBeyondFloat16CannotBeScaled) {
  const at::Tensor weight = at::full({2, 3}, 70000.0f);
  EXPECT_TRUE(holds(error_of([&] { quantize(weight, kKinds.at("int8"), "model.layers.0.mlp.up_proj.weight"); }),
                    "model.layers.0.mlp.up_proj.weight: holds a number beyond float16"));
  EXPECT_TRUE(at::equal(dequantized(quantize(weight, kKinds.at("nf4"), ""), at::kFloat), weight));
}

}  // namespace
}  // namespace finetune::testing
