// model.dtype and run.kernels: decisions on facts of machines that are not here, and what a run makes of them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/kernel_choice.h"
#include "engine/packed_trainer.h"
#include "engine/precision.h"
#include "models/checkpoint.h"
#include "support/goldens.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

PrecisionFacts gpu(int capability) {
  return {.device = "cuda:0", .gpu = true, .capability = capability};
}
PrecisionFacts cpu(bool kernels, double float32, double bfloat16) {
  return {.device = "cpu", .bfloat16_kernels = kernels, .rates = {float32, bfloat16}};
}
at::ScalarType chosen(const std::vector<PrecisionFacts>& devices) {
  return choose_dtype(devices);
}

TEST(Precision, AutoOnAGpuGoesByItsCapability) {
  for (const int old : {0, 60, 75}) EXPECT_EQ(chosen({gpu(old)}), at::kFloat) << old;
  for (const int young : {80, 86, 90, 120}) EXPECT_EQ(chosen({gpu(young)}), at::kBFloat16) << young;
  EXPECT_EQ(chosen({gpu(80), gpu(75)}), at::kFloat) << "one dtype for all lanes: that which all can do well";
}

TEST(Precision, AutoOnACpuWantsKernelsAndRates) {
  EXPECT_EQ(chosen({cpu(true, 100, 149)}), at::kFloat);
  EXPECT_EQ(chosen({cpu(true, 100, 150)}), at::kBFloat16);
  EXPECT_EQ(chosen({cpu(true, 100, 1)}), at::kFloat);
  EXPECT_EQ(chosen({cpu(false, 100, 1000)}), at::kFloat) << "products alone are no training";
  EXPECT_EQ(chosen({gpu(80), cpu(false, 0, 0)}), at::kFloat);
}

TEST(Precision, TheProductsAreMeasuredWhereTheyMatter) {
  int measured = 0;
  const auto measure = [&] {
    ++measured;
    return ProductRates{100, 30};
  };
  const std::vector<at::Device> two{at::kCPU, at::kCPU};
  EXPECT_EQ(settle_precision("auto", two, measure).dtype, at::kFloat);
  EXPECT_EQ(settle_precision("float32", two, measure).dtype, at::kFloat);
  EXPECT_EQ(measured, 0) << "no kernel of a CPU computes in bfloat16, so nothing could come of it";
  EXPECT_EQ(settle_precision("bfloat16", two, measure).dtype, at::kBFloat16);
  EXPECT_EQ(measured, 1) << "one processor";
}

std::string notes(const std::string& asked, at::ScalarType in_file, std::vector<PrecisionFacts> devices) {
  Precision precision{.asked = asked != "auto", .devices = std::move(devices)};
  precision.dtype = precision.asked ? (asked == "bfloat16" ? at::kBFloat16 : at::kFloat) : chosen(precision.devices);
  std::string text;
  for (const auto& line : precision_notes(precision, in_file)) text += line + "\n";
  return text;
}

TEST(Precision, AConversionIsSaidOnce) {
  EXPECT_EQ(notes("auto", at::kFloat, {cpu(false, 0, 0)}), "");
  EXPECT_EQ(notes("auto", at::kBFloat16, {gpu(90)}), "");
  EXPECT_EQ(notes("auto", at::kHalf, {gpu(90), gpu(90)}),
            "checkpoint is float16; computing in bfloat16 on cuda:0: cuda:0 has compute capability 9.0\n");
  EXPECT_EQ(notes("auto", at::kBFloat16, {gpu(90), gpu(75)}),
            "checkpoint is bfloat16; computing in float32 on cuda:0: cuda:0 has compute capability 7.5\n");
  const std::string on_cpu = notes("auto", at::kBFloat16, {cpu(false, 0, 0), cpu(false, 0, 0)});
  EXPECT_TRUE(on_cpu.starts_with("checkpoint is bfloat16; computing in float32 on this CPU: ")) << on_cpu;
  EXPECT_EQ(std::count(on_cpu.begin(), on_cpu.end(), '\n'), 1);
  EXPECT_EQ(notes("float32", at::kBFloat16, {cpu(false, 0, 0)}), "") << "asked for";
}

TEST(Precision, ADtypeThatWasAskedForIsObeyedWithAWarningWhereItIsSlow) {
  EXPECT_NE(notes("float32", at::kBFloat16, {gpu(80)}).find("slow on cuda:0"), std::string::npos);
  EXPECT_NE(notes("bfloat16", at::kBFloat16, {gpu(75)}).find("slow on cuda:0"), std::string::npos);
  EXPECT_EQ(notes("bfloat16", at::kFloat, {gpu(80)}), "");
  const std::string slow = notes("bfloat16", at::kFloat, {cpu(false, 100, 1)});
  EXPECT_NE(slow.find("its products run at 0.01 times the rate of float32"), std::string::npos) << slow;
  EXPECT_NE(slow.find("neighbours"), std::string::npos) << slow;
  const std::string fast_products = notes("bfloat16", at::kFloat, {cpu(false, 100, 250)});
  EXPECT_EQ(fast_products.find("times the rate"), std::string::npos) << fast_products;
  EXPECT_NE(fast_products.find("neighbours"), std::string::npos) << fast_products;
  EXPECT_EQ(notes("bfloat16", at::kFloat, {cpu(true, 100, 51)}), "");
  EXPECT_NE(notes("float32", at::kFloat, {cpu(true, 100, 201)}).find("its products run at"), std::string::npos);
}

TEST(Precision, MeasuringLeavesTheThreadsAsTheyWere) {
  const int threads = at::get_num_threads();
  const ProductRates rates = measure_products();
  EXPECT_EQ(at::get_num_threads(), threads);
  EXPECT_GT(rates.float32, 1e6);  // a million a second: any machine there is
  EXPECT_GT(rates.bfloat16, 1e6);
}

// A base on the model's own device is the memory that was read.
TEST(Precision, ABaseIsInMemoryOnce) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const BaseModel model = load_checkpoint(golden_path("models/qwen2"), dtype);
    const DecoderBase base = make_base(model, at::kCPU);
    std::vector<const void*> places;
    for_each_tensor(model.options, model.weights,
                    [&](const TensorRows&, const at::Tensor& tensor) { places.push_back(tensor.const_data_ptr()); });
    std::size_t next = 0;
    for_each_tensor(base.options, base, [&](const TensorRows& rows, const at::Tensor& tensor) {
      EXPECT_EQ(tensor.const_data_ptr(), places[next++]) << rows.parts.front().name;
    });
    EXPECT_EQ(base.head_VD.const_data_ptr(), base.embed_VD.const_data_ptr()) << "tied";
  }
}

ops::KernelTable never(at::Device device) {
  ADD_FAILURE() << device.str() << " was calibrated";
  return ops::KernelTable::composition();
}

TEST(Kernels, WhatCannotBeHadIsRefusedByName) {
  const std::vector<at::Device> devices{at::kCPU};
  EXPECT_EQ(settle_kernels({"auto"}, devices, at::kFloat, never), ops::KernelTable::written());
  EXPECT_EQ(settle_kernels({"composition"}, devices, at::kFloat, never), ops::KernelTable::composition());
  EXPECT_EQ(settle_kernels({"written"}, devices, at::kFloat, never), ops::KernelTable::written());
  for (const std::vector<std::string>& asked : {std::vector<std::string>{"written"}, {"rmsnorm", "glu"}}) {
    try {
      settle_kernels(asked, devices, at::kBFloat16, never);
      FAIL() << "there are none";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      EXPECT_NE(std::string(error.what()).find("cannot be had on cpu: the kernels for a CPU"), std::string::npos)
          << error.what();
    }
  }
}

TEST(Kernels, AutoIsWrittenAsWhatItMeans) {
  const std::vector<at::Device> devices{at::kCPU, at::kCPU};
  using Names = std::vector<std::string>;
  const ops::KernelTable written = ops::KernelTable::written();
  EXPECT_EQ(resolved_kernels(written, devices, at::kFloat), Names{"written"});
  EXPECT_EQ(resolved_kernels(written, devices, at::kBFloat16), Names{"composition"});
  EXPECT_EQ(resolved_kernels(ops::KernelTable::composition(), devices, at::kFloat), Names{"composition"});
  for (const Names& names : {Names{"rmsnorm", "adapter"}, Names{"dropped_adapter"}}) {
    const ops::KernelTable table = settle_kernels(names, devices, at::kFloat, never);
    EXPECT_EQ(resolved_kernels(table, devices, at::kFloat), names) << "replayed as it was";
    EXPECT_EQ(table.takes(ops::Operation::glu), false);
  }
}

// A step of one trial after the other's: a choice of the whole process would show in the other's bits.
TEST(Kernels, TwoTrainersOfAProcessMayDiffer) {
  const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
  const auto examples = tiny_examples({9, 4, 17, 3, 12, 8}, 37, 3);
  const ProjectionSet all = ProjectionSet::all();
  struct One {
    std::unique_ptr<ParameterStore> store;
    std::unique_ptr<PackedTrainer> trainer;
  };
  const TrialId id{0};
  const auto make = [&](ops::KernelTable kernels) {
    One one{.store = make_lora_store(base, {.slots = 1, .max_rank = 16, .targets = all}, nullptr)};
    one.trainer = std::make_unique<PackedTrainer>(*one.store, examples, examples,
                                                  TrainerOptions{.tokens_per_pass = 64, .kernels = kernels});
    TrainConfig config;
    config.batch_size = 4;
    config.warmup_ratio = 0;
    one.trainer->admit(id, config);
    return one;
  };
  const auto written = ops::KernelTable::written(), composition = ops::KernelTable::composition();
  const One written_alone = make(written), composition_alone = make(composition);
  for (int step = 0; step < 3; ++step) written_alone.trainer->step(std::span(&id, 1));
  for (int step = 0; step < 3; ++step) composition_alone.trainer->step(std::span(&id, 1));
  const at::Tensor written_P = written_alone.store->params_SP(), composition_P = composition_alone.store->params_SP();
  ASSERT_FALSE(at::equal(written_P, composition_P)) << "the same bits: the test could not see a difference";
  EXPECT_TRUE(at::allclose(written_P, composition_P, 1e-3, 1e-5));
  const One one = make(written), other = make(composition);
  for (int step = 0; step < 3; ++step) {
    one.trainer->step(std::span(&id, 1));
    other.trainer->step(std::span(&id, 1));
  }
  EXPECT_TRUE(at::equal(one.store->params_SP(), written_P));
  EXPECT_TRUE(at::equal(other.store->params_SP(), composition_P));
}

}  // namespace
}  // namespace finetune::testing
