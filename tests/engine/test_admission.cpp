// Memory: how many trials are admitted for a given free memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "engine/admission.h"
#include "engine/fits.h"
#include "engine/memory.h"
#include "engine/packed_trainer.h"
#include "engine/room.h"
#include "engine/session.h"
#include "models/pissa.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

TEST(Admission, TakesTheMostSlotsThatFit) {
  const auto in = [](std::int64_t available) {
    return [=](std::int64_t slots) { return 100 + 30 * slots <= available; };
  };
  EXPECT_EQ(slots_that_fit(16, in(400)), 10);
  EXPECT_EQ(slots_that_fit(16, in(399)), 9);
  EXPECT_EQ(slots_that_fit(4, in(400)), 4);
  EXPECT_EQ(slots_that_fit(16, in(10)), 1) << "one trial is always tried";
}

DecoderOptions eight_billion() {  // Llama-3.1-8B
  DecoderOptions o = tiny_options();
  o.vocab_size = 128256;
  o.width = 4096;
  o.mlp_width = 14336;
  o.layers = 32;
  o.heads = 32;
  o.kv_heads = 8;
  o.head_dim = 128;
  o.max_positions = 8192;
  return o;
}

TEST(Admission, ALoadedBaseIsNotCountedAgain) {
  MemoryPlan plan{.slots = 17, .rank = 16, .element_bytes = 2, .activation_bytes = 2};
  plan.tokens_per_pass = plan.loss_rows_per_pass = 8192;
  plan.targets = ProjectionSet::all();
  const MemoryEstimate estimate = estimate_memory(eight_billion(), plan);
  EXPECT_NEAR(static_cast<double>(estimate.base), 8.03e9 * 2, 0.02 * 16e9);
  EXPECT_EQ(estimate.to_come(false), estimate.slots + estimate.activations);
  EXPECT_EQ(estimate.to_come(true), estimate.slots + estimate.activations + estimate.images);
  // 42 M parameters a trial of rank 16, four arrays of fp32; 3.0 MB kept a token, and the buffers that blocks share.
  EXPECT_NEAR(static_cast<double>(estimate.slots), 17 * 41.9e6 * 16, 0.01 * 11.4e9);
  EXPECT_NEAR(static_cast<double>(activation_bytes_per_token(eight_billion(), plan)), 3.2e6, 0.1e6);
  // What 60 GB leave after the slots: more tokens than wanted; with 20 GB fewer; never below 512.
  EXPECT_EQ(fit_tokens_per_pass(eight_billion(), plan, std::int64_t{60} << 30, 8192), 8192);
  const std::int64_t few = fit_tokens_per_pass(eight_billion(), plan, std::int64_t{20} << 30, 8192);
  EXPECT_GT(few, 1500);
  EXPECT_LT(few, 4000);
  EXPECT_EQ(fit_tokens_per_pass(eight_billion(), plan, 1 << 20, 8192), 512);
  plan.composed = true;  // nine fp32 copies of gate|up's half, 8192 x 14336; 32 captured passes of 32 layers
  EXPECT_EQ(estimate_memory(eight_billion(), plan).activations - estimate.activations,
            36LL * 8192 * 14336 + 32LL * 32 * 60 * 4096);
}

// On a processor a base in bfloat16 takes half, activations as much as over one in float32, and the widest operand of a
// product in bfloat16 besides: the gradient of gate and up.
TEST(Admission, ABaseInBfloat16RoundsBesideActivations) {
  const MemoryPlan wide{.slots = 1, .rank = 16, .tokens_per_pass = 2048, .loss_rows_per_pass = 16};
  MemoryPlan narrow = wide;
  narrow.element_bytes = 2;
  const MemoryEstimate of_wide = estimate_memory(eight_billion(), wide),
                       of_narrow = estimate_memory(eight_billion(), narrow);
  EXPECT_NEAR(static_cast<double>(of_wide.base - of_narrow.base), 8.03e9 * 2, 0.02 * 16e9);
  EXPECT_EQ(of_narrow.activations - of_wide.activations, 2LL * 2048 * 2 * 14336);
}

// Of a base of 8 billion weights 6.98 are in the projections: half a byte and a sixteenth, or a byte each.
TEST(Admission, AQuantisedBaseIsSmaller) {
  MemoryPlan plan{.slots = 1, .rank = 16, .element_bytes = 2};
  plan.targets = ProjectionSet::all();
  const MemoryEstimate dense = estimate_memory(eight_billion(), plan);
  const auto with = [&](Quantization quantization) {
    plan.quantization = quantization;
    return estimate_memory(eight_billion(), plan);
  };
  const double projections = 6.98e9, rest = static_cast<double>(dense.base) - 2 * projections;
  const auto base = [&](Quantization quantization) { return static_cast<double>(with(quantization).base) - rest; };
  EXPECT_NEAR(base({.code = kernels::Code::nf4}), projections * (0.5 + 4.0 / 64), 0.002 * projections);
  EXPECT_NEAR(base({.code = kernels::Code::nf4, .doubled = true}), projections * (0.5 + 1.0 / 64), 0.002 * projections);
  EXPECT_NEAR(base({.code = kernels::Code::int8}), projections, 0.002 * projections);
  // The numbers of one gate|up beside the activations.
  EXPECT_EQ(with({.code = kernels::Code::nf4}).activations - dense.activations, 2LL * 2 * 14336 * 4096);
}

TEST(Admission, ABaseIsItsTensorsAndRotaryTables) {
  DecoderOptions options = tiny_options();
  options.local_rotary = options.rotary;
  for (const bool local : {false, true}) {
    options.rope.assign(static_cast<std::size_t>(options.layers), Rope::global);
    if (local) options.rope.front() = Rope::local;
    DecoderBase base = tiny_base(options, at::kFloat);
    const auto tables = [&](const RotaryOptions& rotary) {
      const auto [cos, sin] = rotary_tables(rotary, options.max_positions, at::kCPU);
      return static_cast<std::int64_t>(cos.nbytes() + sin.nbytes());
    };
    std::int64_t bytes = tables(options.rotary) + (local ? tables(options.local_rotary) : 0);
    for_each_tensor(options, base, [&](const TensorRows&, const at::Tensor& tensor) {
      bytes += static_cast<std::int64_t>(tensor.nbytes());
    });
    EXPECT_EQ(loaded_bytes(options, {}, 4), bytes);
  }
}

// The same bytes as the tensors that models/ makes.
TEST(Admission, WhatDoraAndPissaKeepIsCounted) {
  const DecoderOptions options = tiny_options();
  const ProjectionSet targets = ProjectionSet::all();
  const std::int64_t slots = 3, rank = 4;
  MemoryPlan plan{.slots = slots, .rank = rank, .targets = targets, .images = 0};
  const std::int64_t plain = estimate_memory(options, plan).slots;

  plan.principal = 2;
  std::int64_t parts = 0;
  for (const auto& layer : principal_parts(tiny_base(options, at::kFloat), targets, plan.principal)) {
    for (const Projection p : targets.members())
      parts += static_cast<std::int64_t>(layer[p].u_OR.nbytes() + layer[p].s_R.nbytes() + layer[p].v_RI.nbytes());
  }
  EXPECT_EQ(estimate_memory(options, plan).slots - plain, parts);

  plan.principal = 0;
  plan.magnitudes = true;
  std::int64_t outputs = 0;
  for (const Projection p : targets.members()) outputs += options.layers * projection_out(options, p);
  // A magnitude with its gradient and two moments, its factor and its inverse norm.
  EXPECT_EQ(estimate_memory(options, plan).slots - plain, slots * 4 * (4 + 2) * outputs);
}

// Free memory is a stand-in, so the devices need not be there.
TEST(Admission, ASessionKeepsAsManyTrialsAsItsDevicesHold) {
  for (const std::int64_t lanes : {1, 2}) {
    Session session;
    session.model.checkpoint.options = tiny_options();
    session.model.checkpoint.dtype = at::kFloat;
    session.data.train.examples = tiny_examples(std::vector<std::int64_t>(50, 30), 37);
    session.data.train.tokens = 1500;
    session.tokens_per_pass = 2048;
    session.config.tune.trials = 64;
    session.config.tune.concurrent = 40;
    for (std::int64_t i = 0; i < lanes; ++i)
      session.model.devices.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
    const std::int64_t nine_slots = session_memory(session, 9, session.model.devices.front()).to_come(false);
    session.free_memory = [&](at::Device) { return nine_slots / 9 * 10 + 100; };  // a tenth is kept free
    // Nine slots on each device; one of all is the default run's.
    EXPECT_EQ(resident_trials(session), 9 * lanes - 1);
    ASSERT_EQ(session.notes.size(), 1u);
    EXPECT_NE(session.notes[0].find("tune.concurrent = 40 lowered to " + std::to_string(9 * lanes - 1)),
              std::string::npos)
        << session.notes[0];
    session.config.tune.concurrent.reset();
    EXPECT_EQ(resident_trials(session), std::min<std::int64_t>(16, 9 * lanes - 1));
    EXPECT_EQ(session.notes.size(), 1u) << "nothing was asked for";
    session.free_memory = [](at::Device) { return std::int64_t{1} << 40; };
    EXPECT_EQ(resident_trials(session), 16);
  }
}

Session session_without_data(const DecoderOptions& options = tiny_options()) {
  Session session;
  session.model.checkpoint.options = options;
  session.model.checkpoint.dtype = at::kFloat;
  session.model.devices = {at::kCPU};
  return session;
}

// A base of which only sizes are known is still to come, in whatever form; one that is there is exchanged.
TEST(Admission, ABaseInAnotherForm) {
  Session session = session_without_data();
  session.tokens_per_pass = 2048;
  const MemoryCase own = case_of(session);
  MemoryCase half = own;
  half.dtype = at::kBFloat16;
  const auto base_to_come = [&](const MemoryCase& one) {
    const MemoryNeed need = memory_needs(session, 1, one).front();
    return need.to_come - need.estimate.to_come(true);
  };
  const std::int64_t bytes = memory_needs(session, 1, own).front().estimate.base;
  const std::int64_t half_bytes = memory_needs(session, 1, half).front().estimate.base;
  EXPECT_LT(half_bytes, bytes);
  EXPECT_EQ(base_to_come(own), 0);
  EXPECT_EQ(base_to_come(half), half_bytes - bytes);
  session.model.sizes_only = true;
  EXPECT_EQ(base_to_come(own), bytes);
  EXPECT_EQ(base_to_come(half), half_bytes);
}

// On a processor with instructions for bfloat16 `auto` is another dtype for a whole model.
TEST(Admission, TheRowOfAWholeModelHasItsOwnDtype) {
  Session session = session_without_data();
  session.model.checkpoint.dtype = at::kBFloat16;
  const std::vector<Fit> fits = what_fits(session);
  EXPECT_EQ(fits.back().name, "full fine-tuning in float32");
  EXPECT_GT(fits.back().base_bytes, fits[1].base_bytes) << "LoRA over bfloat16";
  session.model.full_dtype = at::kBFloat16;  // asked for
  EXPECT_EQ(what_fits(session).back().name, "full fine-tuning in bfloat16");
}

// Before the weights: what is asked for, and what would fit into gibibytes of free memory.
std::string lack(std::int64_t gibibytes, std::int64_t trials, const std::function<void(Session&)>& change) {
  Session session = session_without_data(eight_billion());
  session.model.sizes_only = true;
  session.config.data.max_length = 4096;
  session.free_memory = [=](at::Device device) { return device.is_cpu() ? gibibytes << 30 : std::int64_t{80} << 30; };
  change(session);
  return lack_of_room(session, trials).value_or("");
}

// 8.03 billion weights: 32 GB in float32, 9 in int8, 5.5 and more in nf4 beside embeddings and head; 40 bytes each to
// train all of them.
TEST(Admission, WhatCannotFitIsSaidWithWhatWould) {
  const auto as_it_is = [](Session&) {};
  const auto full = [](Session& session) { session.config.train.method = TrainMethod::full; };
  EXPECT_EQ(lack(2000, 2, full), "");
  EXPECT_EQ(lack(100, 1, as_it_is), "");
  EXPECT_EQ(lack(60, 0, full), "");

  const std::string all = lack(100, 1, full);
  EXPECT_TRUE(all.starts_with("full fine-tuning in float32 in passes of 4,096 tokens needs ")) << all;
  EXPECT_TRUE(all.ends_with(" GB of cpu, which has 107.4 GB free; what would fit: train.method: lora")) << all;
  const std::string lora = lack(50, 1, as_it_is);
  EXPECT_TRUE(lora.starts_with("LoRA over float32 in passes of 4,096 tokens needs ")) << lora;
  // Over bfloat16 it needs 44.4 GB, for on a processor activations stay float32: more than may be taken of 53.7 GB.
  EXPECT_TRUE(lora.ends_with("what would fit: model.quantize: int8; model.quantize: nf4")) << lora;
  const std::string base = lack(24, 0, as_it_is);
  EXPECT_TRUE(base.starts_with("the model in float32 needs 32.")) << base;
  EXPECT_TRUE(base.ends_with("what would fit: model.quantize: int8; model.quantize: nf4; model.dtype: bfloat16"))
      << base;
  EXPECT_TRUE(lack(1, 1, full).ends_with("nothing that can be set would make it fit: take a smaller model"));
}

TEST(Admission, ShorterPassesAndOtherDevicesAreAWayOut) {
  const std::string pass = lack(100, 1, [](Session& session) { session.config.run.tokens_per_pass = 200'000; });
  EXPECT_NE(pass.find("in passes of 200,000 tokens"), std::string::npos) << pass;
  EXPECT_NE(pass.find("what would fit: run.tokens_per_pass: auto"), std::string::npos) << pass;
  const std::string length = lack(64, 1, [](Session& session) { session.config.data.max_length = 20'000; });
  EXPECT_NE(length.find("what would fit: data.max_length: 2048"), std::string::npos) << length;
  // On a card of 80 GiB, with a processor beside it.
  const auto on_gpu = [](Session& session) {
    session.model.devices = {{at::kCUDA, 0}};
    session.config.data.max_length = 60'000;
  };
  EXPECT_NE(lack(1000, 1, on_gpu).find("; --devices cpu"), std::string::npos) << lack(1000, 1, on_gpu);
  EXPECT_EQ(lack(10, 1, on_gpu).find("--devices cpu"), std::string::npos);
  // One trial alone, where the default configuration finds no place beside it.
  const auto large = [](Session& session) {
    session.config.train.method = TrainMethod::full;
    session.config.data.max_length = 512;
  };
  const std::string second = lack(480, 2, large);
  EXPECT_NE(second.find("of a trial with the default configuration beside it"), std::string::npos) << second;
  EXPECT_NE(second.find("what would fit: train (one configuration, no search); train.method: lora"), std::string::npos)
      << second;
}

// An example is never cut, whatever fits into a pass.
TEST(Admission, APassHoldsTheLongestExample) {
  Session session = session_without_data();
  session.tokens_per_pass = 512;
  session.config.data.max_length = 512;
  const auto activations = [&] { return session_memory(session, 1, at::kCPU).activations; };
  const std::int64_t of_512 = activations();
  session.config.data.max_length = 5120;
  EXPECT_NEAR(static_cast<double>(activations()), 10.0 * static_cast<double>(of_512), 0.05 * 10 * of_512)
      << "without data";
  session.data.train.examples = tiny_examples({5120}, 37);
  session.data.train.tokens = 5120;
  session.data.train.loss_tokens = 5119;
  EXPECT_NEAR(static_cast<double>(activations()), 10.0 * static_cast<double>(of_512), 0.05 * 10 * of_512);
}

// The one with the least memory counts, wherever it stands in the list.
TEST(Admission, EveryDeviceIsLookedAt) {
  for (const bool first_is_small : {true, false}) {
    Session session;
    session.model.checkpoint.options = tiny_options();
    session.model.checkpoint.dtype = at::kFloat;
    session.data.train.examples = tiny_examples(std::vector<std::int64_t>(50, 30), 37);
    session.data.train.tokens = 1500;
    session.tokens_per_pass = 2048;
    session.config.tune.trials = 64;
    session.config.tune.concurrent = 40;
    session.model.devices = {{at::kCUDA, 0}, {at::kCUDA, 1}};
    const std::int64_t five_slots = session_memory(session, 5, session.model.devices[0]).to_come(false);
    session.free_memory = [&](at::Device device) {
      return (device.index() == 0) == first_is_small ? five_slots / 9 * 10 + 100 : std::int64_t{1} << 40;
    };
    EXPECT_EQ(resident_trials(session), 9) << "five slots on each, one of all is the default run's";
    ASSERT_EQ(session.notes.size(), 1u);
    EXPECT_NE(session.notes[0].find(first_is_small ? "on cuda:0" : "on cuda:1"), std::string::npos) << session.notes[0];
    const auto needs = memory_needs(session, 10);
    ASSERT_EQ(needs.size(), 2u);
    for (const MemoryNeed& need : needs) {
      EXPECT_EQ(need.slots, 5);
      EXPECT_LE(need.to_come, need.usable);
    }
  }
}

// The model of activations against what a pass allocates.
TEST(Admission, ActivationsAreWhatAPassAllocates) {
  DecoderOptions options = tiny_options();
  options.layers = 6;
  options.window.assign(6, 0);
  const DecoderBase base = tiny_base(options, at::kFloat);
  const ProjectionSet all = ProjectionSet::all();
  const auto bank = make_lora_store(base, {.slots = 1, .max_rank = 16, .targets = all}, nullptr);
  const auto examples = tiny_examples(std::vector<std::int64_t>(200, 60), 37, 3);
  PackedTrainer trainer(*bank, examples, examples, {.tokens_per_pass = 12000});
  TrainConfig config;
  config.batch_size = 200;
  const TrialId id{0};
  trainer.admit(id, config);
  trainer.step(std::span(&id, 1));
  std::int64_t rows = 0;
  for (const auto& example : examples) rows += example.loss_tokens();
  MemoryPlan plan{.tokens_per_pass = 12000, .loss_rows_per_pass = rows};
  plan.targets = ProjectionSet::all();
  const double ratio =
      static_cast<double>(trainer.workspace_bytes()) / static_cast<double>(estimate_memory(options, plan).activations);
  EXPECT_GT(ratio, 0.95);  // the estimate is a sum of the same terms; buffers of a byte or two more a row are left out
  EXPECT_LT(ratio, 1.05);
}

}  // namespace
}  // namespace finetune::testing
