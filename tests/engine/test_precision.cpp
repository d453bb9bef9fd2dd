// model.dtype and run.kernels: decisions on facts of machines that are not here, and what a run makes of them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/kernel_choice.h"
#include "engine/packed_trainer.h"
#include "engine/precision.h"
#include "kernels/api/rounded_product.h"
#include "models/checkpoint.h"
#include "support/goldens.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

PrecisionFacts gpu(int capability) {
  return {.device = "cuda:0", .gpu = true, .capability = capability};
}
PrecisionFacts cpu(double float32, double bfloat16, const std::string& against = "") {
  return {.device = "cpu", .against = against, .rates = {float32, bfloat16}};
}
at::ScalarType chosen(const std::vector<PrecisionFacts>& devices) {
  return choose_dtype(devices);
}

TEST(Precision, AutoOnAGpuGoesByItsCapability) {
  for (const int old : {0, 60, 75}) EXPECT_EQ(chosen({gpu(old)}), at::kFloat) << old;
  for (const int young : {80, 86, 90, 120}) EXPECT_EQ(chosen({gpu(young)}), at::kBFloat16) << young;
  EXPECT_EQ(chosen({gpu(80), gpu(75)}), at::kFloat) << "one dtype for all lanes: that which all can do well";
}

TEST(Precision, AutoOnACpuWantsInstructionsAndRates) {
  EXPECT_EQ(chosen({cpu(100, 149)}), at::kFloat);
  EXPECT_EQ(chosen({cpu(100, 150)}), at::kBFloat16);
  EXPECT_EQ(chosen({cpu(100, 50)}), at::kFloat);
  EXPECT_EQ(chosen({cpu(100, 1000, "a reason")}), at::kFloat) << "not measured where nothing could come of it";
  EXPECT_EQ(chosen({cpu(100, 900, "a reason")}), at::kFloat) << "weights that are trained are float32";
  EXPECT_EQ(chosen({gpu(80), cpu(0, 0, "a reason")}), at::kFloat);
  EXPECT_EQ(chosen({gpu(80), cpu(100, 400)}), at::kBFloat16);
}

TEST(Precision, TheProductsAreMeasuredWhereTheyMatter) {
  int measured = 0;
  const auto measure = [&] {
    ++measured;
    return ProductRates{100, 300};
  };
  const std::vector<at::Device> two{at::kCPU, at::kCPU};
  const bool has_unit = kernels::cpu::bfloat16_unit()[0] != 0;
  const PrecisionCase usual{.width = 576, .full = false};
  EXPECT_EQ(against_bfloat16(usual).empty(), has_unit);
  for (const PrecisionCase& other : {PrecisionCase{.width = 576, .full = true}, PrecisionCase{.width = 127}}) {
    EXPECT_NE(against_bfloat16(other), "");
    EXPECT_EQ(settle_precision("auto", other, two, measure).dtype, at::kFloat);
    EXPECT_EQ(measured, 0);
  }
  EXPECT_EQ(settle_precision("auto", usual, two, measure).dtype, has_unit ? at::kBFloat16 : at::kFloat);
  EXPECT_EQ(measured, has_unit ? 1 : 0) << "one processor";
  EXPECT_EQ(settle_precision("float32", usual, two, measure).dtype, at::kFloat);
  EXPECT_EQ(settle_precision("bfloat16", {.width = 8, .full = true}, two, measure).dtype, at::kBFloat16);
  EXPECT_EQ(measured, has_unit ? 3 : 1);
}

TEST(Precision, OnACpuAWholeModelIsFloat32UnlessAskedOtherwise) {
  const auto full = [](const std::string& asked, std::vector<PrecisionFacts> devices) {
    Precision precision{.asked = asked != "auto", .devices = std::move(devices)};
    precision.dtype = precision.asked ? at::kBFloat16 : chosen(precision.devices);
    return dtype_of_full(precision);
  };
  EXPECT_EQ(full("auto", {cpu(100, 300)}), at::kFloat);
  EXPECT_EQ(full("bfloat16", {cpu(100, 300)}), at::kBFloat16);
  EXPECT_EQ(full("auto", {gpu(90)}), at::kBFloat16);
  EXPECT_EQ(full("auto", {gpu(75)}), at::kFloat);
  EXPECT_EQ(full("auto", {gpu(90), cpu(100, 300)}), at::kFloat);
  EXPECT_EQ(why_auto(std::vector{gpu(90), cpu(0, 0, "a reason")}), "a reason");
}

std::string notes(const std::string& asked, at::ScalarType in_file, std::vector<PrecisionFacts> devices) {
  Precision precision{.asked = asked != "auto", .devices = std::move(devices)};
  precision.dtype = precision.asked ? (asked == "bfloat16" ? at::kBFloat16 : at::kFloat) : chosen(precision.devices);
  std::string text;
  for (const auto& line : precision_notes(precision, in_file)) text += line + "\n";
  return text;
}

TEST(Precision, AConversionIsSaidOnce) {
  EXPECT_EQ(notes("auto", at::kFloat, {cpu(0, 0, "a reason")}), "");
  EXPECT_EQ(notes("auto", at::kBFloat16, {gpu(90)}), "");
  EXPECT_EQ(notes("auto", at::kHalf, {gpu(90), gpu(90)}),
            "checkpoint is float16; computing in bfloat16 on cuda:0: cuda:0 has compute capability 9.0\n");
  EXPECT_EQ(notes("auto", at::kBFloat16, {gpu(90), gpu(75)}),
            "checkpoint is bfloat16; computing in float32 on cuda:0: cuda:0 has compute capability 7.5\n");
  const std::string on_cpu = notes("auto", at::kBFloat16, {cpu(0, 0, "a reason"), cpu(0, 0, "a reason")});
  EXPECT_EQ(on_cpu, "checkpoint is bfloat16; computing in float32 on this CPU: a reason\n");
  const std::string rates = "computing in bfloat16 on this CPU: its bfloat16 products run at 4.5 times the rate of ";
  EXPECT_EQ(notes("auto", at::kBFloat16, {cpu(100, 450)}), rates + "float32\n");
  EXPECT_EQ(notes("auto", at::kFloat, {cpu(100, 450)}), "checkpoint is float32; " + rates + "float32\n");
  EXPECT_EQ(notes("auto", at::kBFloat16, {cpu(100, 450, "a reason")}),
            "checkpoint is bfloat16; computing in float32 on this CPU: a reason\n");
  EXPECT_EQ(notes("float32", at::kBFloat16, {cpu(0, 0, "a reason")}), "") << "asked for";
}

TEST(Precision, ADtypeThatWasAskedForIsObeyedWithAWarningWhereItIsSlow) {
  EXPECT_NE(notes("float32", at::kBFloat16, {gpu(80)}).find("slow on cuda:0"), std::string::npos);
  EXPECT_NE(notes("bfloat16", at::kBFloat16, {gpu(75)}).find("slow on cuda:0"), std::string::npos);
  EXPECT_EQ(notes("bfloat16", at::kFloat, {gpu(80)}), "");
  EXPECT_EQ(notes("bfloat16", at::kFloat, {cpu(100, 1, "a reason")}),
            "model.dtype=bfloat16 on a CPU: its products run at 0.01 times the rate of float32; auto is float32\n");
  EXPECT_EQ(notes("bfloat16", at::kFloat, {cpu(100, 51)}), "");
  EXPECT_EQ(notes("float32", at::kFloat, {cpu(100, 199)}), "");
  EXPECT_EQ(notes("float32", at::kFloat, {cpu(100, 500)}),
            "model.dtype=float32 on a CPU: its products run at 0.2 times the rate of bfloat16; auto is bfloat16\n");
}

TEST(Precision, MeasuringLeavesTheThreadsAsTheyWere) {
  const int threads = at::get_num_threads();
  const ProductRates rates = measure_products(64, 128);
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
    const bool widened = dtype == at::kBFloat16;  // norms and biases
    std::size_t next = 0;
    for_each_tensor(base.options, base, [&](const TensorRows& rows, const at::Tensor& tensor) {
      const void* place = places[next++];
      if (widened && tensor.dim() == 1)
        EXPECT_EQ(tensor.scalar_type(), at::kFloat) << rows.parts.front().name;
      else
        EXPECT_EQ(tensor.const_data_ptr(), place) << rows.parts.front().name;
    });
    EXPECT_EQ(base.head_VD.const_data_ptr(), base.embed_VD.const_data_ptr()) << "tied";
  }
}

struct Trained {
  std::vector<double> losses;
  double valid = 0;
};
Trained trained(const DecoderBase& base, TrainMethod method) {
  const auto train = tiny_examples({9, 4, 17, 3, 12, 8}, 37, 3), valid = tiny_examples({6, 13, 4, 9}, 37, 4);
  const auto store =
      method == TrainMethod::full
          ? make_full_store(base, {.slots = 1})
          : make_lora_store(base, {.slots = 1, .max_rank = 16, .targets = ProjectionSet::all()}, nullptr);
  PackedTrainer trainer(*store, train, valid, {.tokens_per_pass = 64});
  TrainConfig config;
  config.method = method;
  config.learning_rate = method == TrainMethod::full ? 1e-3 : 1e-2;
  config.batch_size = 4;
  config.warmup_ratio = 0;
  const TrialId id{0};
  trainer.admit(id, config);
  Trained result;
  for (int step = 0; step < 10; ++step) result.losses.push_back(trainer.step(std::span(&id, 1)).front().train_loss);
  result.valid = trainer.evaluate(std::span(&id, 1), {}).front().loss;
  return result;
}

// An operand is off by 2^-9 of itself at most, at random, so a product of D of them by some 2^-9 sqrt(2) of its size,
// and after L layers, whose errors add like a random walk, logits by 2^-8 sqrt(L). A loss is the mean over a hundred
// logits or so, but the same weights meet all of them: no more is taken off for that. Both sides begin with the same
// weights.
TEST(Precision, TrainingOnACpuIsThatOfFloat32WithinTheRoundingOfOperands) {
  for (const auto method : {TrainMethod::lora, TrainMethod::full}) {
    DecoderBase narrow = tiny_base(tiny_options(), at::kBFloat16);
    DecoderBase wide = narrow;
    for_each_tensor(wide.options, wide, [](const TensorRows&, at::Tensor& tensor) { tensor = tensor.to(at::kFloat); });
    if (wide.options.tied_head) wide.head_VD = wide.embed_VD;
    widen_vectors(narrow);
    const Trained rounded = trained(narrow, method), exact = trained(wide, method);
    const double share = std::ldexp(1.0, -8) * std::sqrt(static_cast<double>(narrow.options.layers));
    for (std::size_t i = 0; i < exact.losses.size(); ++i)
      EXPECT_NEAR(rounded.losses[i], exact.losses[i], share * exact.losses[i]) << i;
    EXPECT_NEAR(rounded.valid, exact.valid, share * exact.valid);
    EXPECT_NE(rounded.losses, exact.losses) << "nothing was rounded";
    EXPECT_LT(exact.losses.back(), 0.95 * exact.losses.front()) << "nothing was learned";
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
  EXPECT_EQ(settle_kernels({"auto"}, devices, at::kBFloat16, never), ops::KernelTable::written());
  for (const std::vector<std::string>& asked : {std::vector<std::string>{"written"}, {"rmsnorm", "glu"}}) {
    try {
      settle_kernels(asked, devices, at::kDouble, never);
      FAIL() << "there are none in float64";
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
  EXPECT_EQ(resolved_kernels(written, devices, at::kBFloat16), Names{"written"});
  EXPECT_EQ(resolved_kernels(written, devices, at::kDouble), Names{"composition"});
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
