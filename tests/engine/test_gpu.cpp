// The packed engine on a GPU against the CPU and against itself; every test is skipped, and says so, without one.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "engine/devices.h"
#include "engine/packed_trainer.h"
#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/graph.h"
#include "support/device_trials.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kSteps = 5;

// Sizes that flash attention takes; two layers with a window, grouped heads, norms of q and k.
DecoderOptions gpu_options() {
  DecoderOptions o = tiny_options();
  o.width = 48;
  o.mlp_width = 80;
  o.heads = 4;
  o.kv_heads = 2;
  o.head_dim = 16;
  o.qk_norm = QkNorm::head;
  o.window = {0, 5, 5};
  o.rotary.inverse_frequencies.clear();
  for (std::int64_t i = 0; i < 8; ++i)
    o.rotary.inverse_frequencies.push_back(static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / 8)));
  return o;
}

using Curves = std::map<std::size_t, std::vector<StepResult>>;

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = resolve_devices({"cuda:0"}).front();
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
    train_ = tiny_examples({29, 14, 47, 13, 32, 28, 61, 15, 44, 12, 37, 51, 26}, 37, 3);
    base_ = tiny_base(gpu_options(), at::kDouble);
  }

  Curves train(const DecoderBase& base, const std::vector<std::size_t>& who, TrainerOptions options,
               bool full = false) const {
    options.kernels = kernels_;
    StoreOptions wanted{.slots = static_cast<std::int64_t>(who.size()), .max_rank = 32};
    wanted.targets = ProjectionSet::all();
    const auto bank = full ? make_full_store(base, wanted) : make_lora_store(base, wanted, nullptr);
    options.tokens_per_pass = 256;
    PackedTrainer trainer(*bank, train_, {}, options);
    std::vector<TrialId> ids;
    for (const std::size_t i : who) {
      ids.push_back({static_cast<std::int64_t>(i)});
      TrainConfig trial = device_trial(i);
      if (full) trial.method = TrainMethod::full;
      trainer.admit(ids.back(), trial);
    }
    Curves curves;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      const auto results = trainer.step(ids);
      for (std::size_t k = 0; k < who.size(); ++k) curves[who[k]].push_back(results[k]);
    }
    return curves;
  }
  static void expect_near(const Curves& actual, const Curves& expected, double loss, double norm) {
    for (const auto& [trial, steps] : expected) {
      for (std::size_t s = 0; s < steps.size(); ++s) {
        const StepResult& got = actual.at(trial)[s];
        EXPECT_NEAR(got.train_loss, steps[s].train_loss, loss * steps[s].train_loss) << trial << " step " << s + 1;
        EXPECT_NEAR(got.gradient_norm, steps[s].gradient_norm, norm * steps[s].gradient_norm)
            << trial << " step " << s + 1;
      }
    }
  }
  std::vector<ops::KernelTable> choices() const {
    if (!kernels::cuda::available(0).ok()) return {ops::KernelTable::composition()};
    return {ops::KernelTable::composition(), ops::KernelTable::written()};
  }

  at::Device device_{at::kCPU};
  ops::KernelTable kernels_;
  std::vector<Example> train_;
  DecoderBase base_;
};

// fp32 on both: sums of up to some hundred terms in another order (1e-6), through three layers and five steps.
TEST_F(Gpu, Fp32EqualsTheCpu) {
  const Curves cpu = train(on(base_, at::kCPU, at::kFloat), {0, 1, 2}, {});
  for (const auto choice : choices()) {
    kernels_ = choice;
    expect_near(train(on(base_, device_, at::kFloat), {0, 1, 2}, {}), cpu, 2e-5, 2e-4);
  }
}

// bf16 activations have 8 bits: each of the dozen roundings of a block is off by up to 2^-9 = 0.2 % at random, so a
// residual stream of three blocks by about sqrt(36) x 0.1 % = 0.7 %. The loss averages over hundreds of rows; 1 % is
// five of its deviations. Gradients pass through twice as many roundings and are not averaged: 6 %.
TEST_F(Gpu, Bf16StaysWithinItsRoundings) {
  const DecoderBase rounded = on(base_, at::kCPU, at::kBFloat16);  // both sides start from the same weights
  const Curves cpu = train(on(rounded, at::kCPU, at::kFloat), {0, 1, 2}, {});
  for (const auto choice : choices()) {
    kernels_ = choice;
    expect_near(train(on(rounded, device_, at::kBFloat16), {0, 1, 2}, {}), cpu, 0.01, 0.06);
  }
}

// A product's algorithm may change with the number of rows, so beside neighbours a trial's numbers may differ by the
// rounding of its sums: fp32 1e-6 a sum. In bf16 by that of an output, now and then: far below the bound of a run.
TEST_F(Gpu, APackEqualsSoloRunsUpToTheRoundingOfSums) {
  for (const auto choice : choices()) {
    kernels_ = choice;
    for (const auto& [dtype, loss, norm] :
         {std::tuple(at::kFloat, 2e-5, 2e-4), std::tuple(at::kBFloat16, 0.01, 0.06)}) {
      const DecoderBase base = on(base_, device_, dtype);
      const Curves packed = train(base, {0, 1, 2}, {});
      for (const std::size_t i : {0u, 1u, 2u}) {
        const Curves solo = train(base, {i}, {});
        expect_near({{i, packed.at(i)}}, solo, loss, norm);
      }
    }
  }
}

TEST_F(Gpu, ARunIsTheSameBitsTwice) {
  for (const auto choice : choices()) {
    kernels_ = choice;
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const DecoderBase base = on(base_, device_, dtype);
      for (const bool full : {false, true})
        expect_near(train(base, {0, 1, 2}, {}, full), train(base, {0, 1, 2}, {}, full), 0, 0);
    }
  }
}

// Twice, and with all weights: a trainer's captures follow those of one that is gone.
TEST_F(Gpu, CapturedPassesEqualPlainOnes) {
  kernels_ = ops::KernelTable::written();
  const DecoderBase base = on(base_, device_, at::kBFloat16);
  if (!ops::can_capture(device_, at::kBFloat16, 16, kernels_)) GTEST_SKIP() << kernels::cuda::available(0).problem;
  if (const char* problem = ops::graphs_problem(device_)) GTEST_SKIP() << problem;
  for (const bool full : {false, true}) {
    const Curves plain = train(base, {0, 1, 2}, {}, full);
    for (int again = 0; again < 2; ++again)  // products of padded sizes: as above
      expect_near(train(base, {0, 1, 2}, {.ahead = true, .graphs = true}, full), plain, 0.01, 0.06);
  }
}

// Outputs are means of values of size 1 over up to 61 tokens, in bf16 (2^-9 of each); scores are rounded products of 16
// terms, whose error the exponential passes on: about 1 % of the largest value.
TEST_F(Gpu, FlashAttentionEqualsTheComposition) {
  at::manual_seed(3);
  const std::vector<std::int32_t> bounds{0, 1, 40, 40, 101};
  const auto values = [&](std::int64_t heads) { return at::randn({101, heads, 16}).to(device_, at::kBFloat16); };
  const at::Tensor q = values(4), k = values(2), v = values(2), d = values(4);
  const ops::Segments segments = ops::make_segments(bounds, 61, device_);
  for (const std::int64_t window : {0, 7}) {
    std::vector<std::vector<at::Tensor>> results;
    for (const ops::Backend* backend : {&ops::composite_backend(), &ops::flash_backend()}) {
      at::Tensor o = at::zeros_like(q), lse = at::zeros({4, 101}, q.options().dtype(at::kFloat)),
                 dq = at::zeros_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
      backend->attention_forward(q, k, v, segments, {0.25, window}, o, lse);
      backend->attention_backward(d, q, k, v, o, lse, segments, {0.25, window}, dq, dk, dv);
      results.push_back({o, lse, dq, dk, dv});
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      const at::Tensor expected = results[0][i].to(at::kFloat), error = (results[1][i].to(at::kFloat) - expected).abs();
      EXPECT_LE(error.max().item<double>(), 0.015 * expected.abs().max().item<double>()) << i << " window " << window;
    }
  }
}

TEST_F(Gpu, FreeMemoryIsAskedOfTheDriver) {
  const at::Tensor first = at::empty({1}, at::TensorOptions(at::kByte).device(device_));  // the driver is awake
  const std::int64_t before = available_bytes(device_);
  EXPECT_GT(before, std::int64_t{1} << 30);
  const at::Tensor block = at::empty({std::int64_t{256} << 20}, at::TensorOptions(at::kByte).device(device_));
  EXPECT_NEAR(static_cast<double>(before - available_bytes(device_)), 256.0 * (1 << 20), 64.0 * (1 << 20));
}

}  // namespace
}  // namespace finetune::testing
