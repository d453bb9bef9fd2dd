// What happens when a device has less memory than was thought: smaller passes, lanes that take turns, trials that fail.
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <new>

#include "core/error.h"
#include "engine/lane_threads.h"
#include "engine/out_of_memory.h"
#include "engine/packed_trainer.h"
#include "support/counting_allocator.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

// The errors of different libraries that mean it.
enum class Refusal { device, standard, processor, cublas, graph };

[[noreturn]] void refuse(Refusal how) {  // without a backtrace, which takes seconds
  const auto say = [](const std::string& text) { throw c10::Error(text, nullptr); };
  if (how == Refusal::standard) throw std::bad_alloc();
  if (how == Refusal::processor)
    say("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory");
  if (how == Refusal::cublas) say("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`");
  if (how == Refusal::graph) say("CUDA error: out of memory");
  throw c10::OutOfMemoryError("stand-in: out of memory", nullptr);
}

// Refuses allocations above `limit` once it has granted `granted` of them, as a device does that fills up; and a single
// one, number `refused`, whatever its size.
class Limited : public at::Allocator {
 public:
  explicit Limited(at::Allocator& real) : real_(real) {}
  at::DataPtr allocate(std::size_t bytes) override {
    if (bytes > limit && granted-- <= 0) refuse(how);
    if (count++ == refused) refuse(how);
    return real_.allocate(bytes);
  }
  at::DeleterFnPtr raw_deleter() const override { return real_.raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { real_.copy_data(to, from, bytes); }
  std::atomic<std::size_t> limit{SIZE_MAX};
  std::atomic<int> granted{0};
  std::atomic<std::int64_t> count{0}, refused{-1};
  std::atomic<Refusal> how{Refusal::device};

 private:
  at::Allocator& real_;
};

class OutOfMemory : public ::testing::Test {
 protected:
  OutOfMemory() : real_(c10::GetAllocator(at::kCPU)), limited_(*real_) { c10::SetAllocator(at::kCPU, &limited_, 10); }
  ~OutOfMemory() override { c10::SetAllocator(at::kCPU, real_, 10); }

  struct Run {
    std::vector<StepResult> steps;
    EvalResult evaluation;
    std::vector<std::string> said;
    std::int64_t tokens_per_pass = 0;
  };
  Run train(std::int64_t tokens_per_pass, std::size_t limit, int granted, bool graphs) {
    const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
    const ProjectionSet all = ProjectionSet::all();
    const auto bank = make_lora_store(base, {.slots = 2, .max_rank = 16, .targets = all}, nullptr);
    const auto examples = tiny_examples(std::vector<std::int64_t>(40, 30), 37, 3);
    Run run;
    PackedTrainer trainer(*bank, examples, examples,
                          {.tokens_per_pass = tokens_per_pass, .graphs = graphs, .say = [&](const std::string& line) {
                             run.said.push_back(line);
                           }});
    const std::vector<TrialId> ids{{0}, {1}};
    for (const TrialId id : ids) {
      TrainConfig config;
      config.batch_size = 20;
      config.learning_rate = 1e-2;
      config.seed = id.value;
      trainer.admit(id, config);
    }
    for (int step = 0; step < 4; ++step) {
      if (step == 0) limited_.granted = granted;
      limited_.limit = limit;
      for (const auto& result : trainer.step(ids)) run.steps.push_back(result);
    }
    run.evaluation = trainer.evaluate(ids, {}).front();
    run.tokens_per_pass = trainer.tokens_per_pass();
    limited_.limit = SIZE_MAX;
    return run;
  }

  at::Allocator* real_;
  Limited limited_;
};

TEST_F(OutOfMemory, ShrinksThePassesSaysSoAndGoesOn) {
  for (const bool graphs : {false, true}) {
    SCOPED_TRACE(graphs ? "graphs" : "plain");
    const Run whole = train(640, SIZE_MAX, 0, graphs);
    EXPECT_TRUE(whole.said.empty());
    // The widest buffers of 640 tokens (q|k|v: 60 floats each, gate|up: 54, 138 kB) do not fit, those of 320 do. The
    // two of each layer are granted, so memory ends in the backward pass, when some gradients have been added already.
    const Run cut = train(640, 100'000, 6, graphs);
    ASSERT_EQ(cut.said.size(), 1u);
    EXPECT_NE(cut.said[0].find("out of memory"), std::string::npos) << cut.said[0];
    EXPECT_NE(cut.said[0].find("320"), std::string::npos) << cut.said[0];
    EXPECT_EQ(cut.tokens_per_pass, 320);
    ASSERT_EQ(cut.steps.size(), whole.steps.size());
    // The same batches: sums of some hundred fp32 terms in another order, over four steps.
    for (std::size_t i = 0; i < cut.steps.size(); ++i) {
      EXPECT_EQ(cut.steps[i].tokens, whole.steps[i].tokens);
      EXPECT_NEAR(cut.steps[i].train_loss, whole.steps[i].train_loss, 1e-5 * whole.steps[i].train_loss);
      EXPECT_NEAR(cut.steps[i].gradient_norm, whole.steps[i].gradient_norm, 1e-4 * whole.steps[i].gradient_norm);
    }
    EXPECT_NEAR(cut.evaluation.loss, whole.evaluation.loss, 1e-5 * whole.evaluation.loss);
  }
}

TEST(OutOfMemoryErrors, AreKnownByTheirWords) {
  for (const char* text : {"CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
                           "CUDA out of memory. Tried to allocate",
                           "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                           "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
                           "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
                           "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
                           "you tried to allocate 8 bytes"})
    EXPECT_TRUE(says_out_of_memory(text)) << text;
  for (const char* text :
       {"", "CUDA error: an illegal memory access was encountered", "CUBLAS_STATUS_EXECUTION_FAILED"})
    EXPECT_FALSE(says_out_of_memory(text)) << text;
}

// A step of two trials that loses one allocation, whichever it is: in the passes, the norms, the update of the first
// or the second trial, the results. It ends as if nothing had been (a rate of 1e-2 shows an update done twice), up to
// the rounding of sums where passes were begun again in halves.
TEST_F(OutOfMemory, AnyAllocationOfAStepMayFail) {
  DecoderOptions options = tiny_options();
  options.layers = 1;
  const DecoderBase base = tiny_base(options, at::kFloat);
  const ProjectionSet all{Projection::q};
  const auto examples = tiny_examples(std::vector<std::int64_t>(6, 10), 37, 3);
  const std::vector<TrialId> ids{{0}, {1}};
  struct Outcome {
    std::vector<StepResult> steps;
    at::Tensor params_SP, grads_SP, steps_S;
    std::int64_t allocations = 0;
    std::size_t said = 0;
  };
  const auto run = [&](ops::KernelTable kernels, std::int64_t refused, Refusal how) {
    Outcome outcome;
    const auto bank = make_lora_store(base, {.slots = 2, .max_rank = 16, .targets = all}, nullptr);
    PackedTrainer trainer(
        *bank, examples, {},
        {.tokens_per_pass = 640, .kernels = kernels, .say = [&](const std::string&) { ++outcome.said; }});
    TrainConfig config;
    config.batch_size = 3;
    config.lora.targets = {"q_proj"};
    config.warmup_ratio = 0;
    config.learning_rate = 1e-2;
    for (const TrialId id : ids) trainer.admit(id, config);
    trainer.step(ids);
    limited_.how = how;
    limited_.count = 0;
    limited_.refused = refused;
    outcome.steps = trainer.step(ids);
    outcome.allocations = limited_.count;
    limited_.refused = -1;
    outcome.params_SP = bank->params_SP().clone();
    outcome.grads_SP = bank->grads_SP().clone();
    outcome.steps_S = bank->steps_S().clone();
    return outcome;
  };
  for (const auto kernels : {ops::KernelTable::composition(), ops::KernelTable::written()}) {
    const Outcome whole = run(kernels, -1, Refusal::device);
    ASSERT_GT(whole.allocations, 4);
    // Every one of the last sixty, where the updates and the results are; a sample of the rest.
    const std::int64_t stride = std::max<std::int64_t>(1, whole.allocations / 20);
    int round = 0;
    for (std::int64_t at = 0; at < whole.allocations; at += at < whole.allocations - 60 ? stride : 1, ++round) {
      SCOPED_TRACE(at);
      const Outcome cut = run(kernels, at, static_cast<Refusal>(round % 5));
      EXPECT_EQ(cut.said, 1u);
      EXPECT_TRUE(at::equal(cut.steps_S, whole.steps_S));
      EXPECT_TRUE(at::equal(cut.grads_SP, whole.grads_SP)) << "zero after a step";
      // Adam divides by the root of the second moment, so a tiny gradient's rounding may be a hundredth of a rate.
      EXPECT_TRUE(at::allclose(cut.params_SP, whole.params_SP, 0, 1e-4));
      for (std::size_t i = 0; i < ids.size(); ++i)
        EXPECT_NEAR(cut.steps[i].train_loss, whole.steps[i].train_loss, 1e-5 * whole.steps[i].train_loss);
    }
  }
}

TEST_F(OutOfMemory, OtherErrorsAreNotTakenForIt) {
  EXPECT_THROW(with_memory([] { throw c10::Error("CUDA error: an illegal memory access", nullptr); }, [] { FAIL(); }),
               c10::Error);
}

struct Mixed {
  std::map<std::int64_t, std::vector<StepResult>> steps;
  std::map<std::int64_t, EvalResult> evaluation;
  std::vector<std::string> said;
  std::int64_t tokens_per_pass = 0;
};

// Two trials that see three examples of 30 tokens, whose passes need buffers of up to 26 kB (gate|up: 54 floats for
// each of 120 tokens), and `with_third` between them one whose first batch holds an example of 300 tokens: 65 kB.
Mixed train_mixed(Limited& memory, bool with_third, std::size_t limit) {
  const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
  const auto bank = make_lora_store(base, {.slots = 3, .targets = ProjectionSet::all()}, nullptr);
  std::vector<std::int64_t> lengths(12, 30);
  const auto valid = tiny_examples(lengths, 37, 3);
  lengths[5] = 300;
  const auto train = tiny_examples(lengths, 37, 3);
  Mixed run;
  const auto say = [&](const std::string& line) { run.said.push_back(line); };
  PackedTrainer trainer(*bank, train, valid, {.tokens_per_pass = 120, .shuffle = false, .say = say});
  std::vector<TrialId> ids;
  for (const std::int64_t id : {0, 1, 2}) {
    if (id == 1 && !with_third) continue;
    TrainConfig config;
    config.batch_size = id == 1 ? 8 : 1;
    config.learning_rate = 1e-2;
    config.warmup_ratio = 0;
    config.seed = id;
    trainer.admit({id}, config);
    ids.push_back({id});
  }
  memory.limit = limit;
  for (int step = 0; step < 3; ++step) {
    for (const auto& result : trainer.step(ids)) run.steps[result.trial.value].push_back(result);
  }
  for (const auto& result : trainer.evaluate(ids, {})) run.evaluation[result.trial.value] = result;
  memory.limit = SIZE_MAX;
  run.tokens_per_pass = trainer.tokens_per_pass();
  return run;
}

struct TwoLanes {
  std::vector<std::vector<StepResult>> steps;
  std::vector<EvalResult> evaluations;
  int taken = 0;           // turns were taken, said once
  std::size_t needed = 0;  // bytes
};

// `working` of two lanes step; `room`: bytes beside what the lanes hold before the first step.
TwoLanes train_two_lanes(CountingAllocator::Bytes& memory, std::vector<std::size_t> working, std::size_t room) {
  const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
  const auto examples = tiny_examples(std::vector<std::int64_t>(8, 60), 37, 3);
  TwoLanes run;
  const auto turns = std::make_shared<MemoryTurns>([&] { ++run.taken; });
  std::vector<std::unique_ptr<ParameterStore>> stores;
  std::vector<std::unique_ptr<PackedTrainer>> trainers;
  const std::vector<TrialId> ids{{0}, {1}};
  for (std::size_t lane = 0; lane < 2; ++lane) {
    stores.push_back(make_lora_store(base, {.slots = 2, .targets = ProjectionSet::all()}, nullptr));
    trainers.push_back(std::make_unique<PackedTrainer>(
        *stores[lane], examples, examples,
        TrainerOptions{.tokens_per_pass = 8, .threads = 2, .memory = {.turns = turns}}));
    for (const TrialId id : ids) trainers[lane]->admit(id, {.seed = static_cast<std::int64_t>(lane)});
  }
  LaneThreads threads(2);
  const std::size_t at_rest = memory.used;
  memory.peak = at_rest;
  memory.limit = room == SIZE_MAX ? room : at_rest + room;
  run.steps.resize(2);
  std::vector<std::vector<EvalResult>> evaluations(2);
  for (int step = 0; step < 3; ++step) {
    threads.run(working, [&](std::size_t lane) {
      for (const auto& result : trainers[lane]->step(ids)) run.steps[lane].push_back(result);
    });
  }
  threads.run(working, [&](std::size_t lane) { evaluations[lane] = trainers[lane]->evaluate(ids, {}); });
  memory.limit = SIZE_MAX;
  for (const auto& list : evaluations) run.evaluations.insert(run.evaluations.end(), list.begin(), list.end());
  run.needed = memory.peak - at_rest;
  return run;
}

TEST(MemoryTurns, LanesThatDoNotFitSideBySideWorkOneAfterTheOther) {
  const CountingAllocator counting([] { refuse(Refusal::processor); });
  CountingAllocator::Bytes& memory = *counting.bytes;
  const std::size_t needed = train_two_lanes(memory, {0}, SIZE_MAX).needed;
  const TwoLanes free = train_two_lanes(memory, {0, 1}, SIZE_MAX),
                 tight = train_two_lanes(memory, {0, 1}, needed / 4 * 5);
  EXPECT_EQ(free.taken, 0);
  EXPECT_GT(free.needed, needed / 4 * 5) << "buffers stay from step to step";
  EXPECT_EQ(tight.taken, 1);
  EXPECT_LE(tight.needed, needed / 4 * 5);
  for (std::size_t lane = 0; lane < 2; ++lane) {
    ASSERT_EQ(tight.steps[lane].size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(tight.steps[lane][i].failure, "");
      EXPECT_EQ(tight.steps[lane][i].train_loss, free.steps[lane][i].train_loss) << "bit for bit";
      EXPECT_EQ(tight.steps[lane][i].gradient_norm, free.steps[lane][i].gradient_norm);
    }
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(tight.evaluations[i].loss, free.evaluations[i].loss);
}

// A copy is made from what the other lanes' buffers took.
TEST(MemoryTurns, ACopyTakesTheBuffersOfAllLanes) {
  const CountingAllocator counting([] { refuse(Refusal::processor); });
  CountingAllocator::Bytes& memory = *counting.bytes;
  {
    const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
    const auto examples = tiny_examples(std::vector<std::int64_t>(8, 60), 37, 3);
    const auto turns = std::make_shared<MemoryTurns>();
    const TrainerOptions options{.tokens_per_pass = 64, .memory = {.turns = turns}};
    const auto store = make_lora_store(base, {.slots = 1, .targets = ProjectionSet::all()}, nullptr);
    const auto other = make_lora_store(base, {.slots = 1, .targets = ProjectionSet::all()}, nullptr);
    PackedTrainer trainer(*store, examples, {}, options), beside(*other, examples, {}, options);
    const std::vector<TrialId> ids{{0}};
    trainer.admit(ids[0], {});
    beside.admit(ids[0], {});
    beside.step(ids);
    const std::size_t held = memory.used;
    memory.limit = held;
    EXPECT_NE(trainer.capture(ids[0]), nullptr);
    EXPECT_LT(memory.used, held) << "buffers are gone until the next step";
    memory.limit = SIZE_MAX;
    EXPECT_TRUE(beside.step(ids).front().finite);
  }
}

TEST_F(OutOfMemory, WhoDoesNotFitAloneFailsAndLeavesNoTrace) {
  const Mixed without = train_mixed(limited_, false, SIZE_MAX);
  const Mixed mixed = train_mixed(limited_, true, 40'000);
  EXPECT_EQ(mixed.tokens_per_pass, 120) << "the others' passes are what they were";
  EXPECT_TRUE(mixed.said.empty()) << mixed.said.front();
  for (const std::int64_t id : {0, 2}) {
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(mixed.steps.at(id)[i].train_loss, without.steps.at(id)[i].train_loss) << "bit for bit";
      EXPECT_EQ(mixed.steps.at(id)[i].gradient_norm, without.steps.at(id)[i].gradient_norm);
      EXPECT_TRUE(mixed.steps.at(id)[i].failure.empty());
    }
    EXPECT_EQ(mixed.evaluation.at(id).loss, without.evaluation.at(id).loss);
  }
  for (const StepResult& result : mixed.steps.at(1)) {
    EXPECT_EQ(result.step, 1) << "it stays where it is, though it is asked again";
    EXPECT_FALSE(result.finite);
    EXPECT_EQ(result.failure, "out of memory with a batch of a single example (300 tokens) at step 1");
  }
}

TEST_F(OutOfMemory, EveryTrialFailsWhenNothingIsLeftToShrink) {
  const Run run = train(64, 2000, 0, false);
  ASSERT_EQ(run.steps.size(), 8u);
  for (const StepResult& result : run.steps)
    EXPECT_NE(result.failure.find("out of memory with a batch of a single example"), std::string::npos);
  EXPECT_EQ(run.evaluation.failure,
            "out of memory with a batch of a single example (30 tokens) of the validation data");
  EXPECT_EQ(run.tokens_per_pass, 64) << "it is not the size of passes";
}

TEST_F(OutOfMemory, ATrialWhoseWeightsDoNotFitIsNotAdmitted) {
  const DecoderBase base = tiny_base(tiny_options(), at::kFloat);
  const auto bank = make_lora_store(base, {.slots = 1, .max_rank = 16, .targets = ProjectionSet::all()}, nullptr);
  const auto examples = tiny_examples({10}, 37, 3);
  PackedTrainer trainer(*bank, examples, {}, {});
  limited_.limit = 100;
  try {
    trainer.admit({0}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input) << "that trial's, not the lane's";
  }
  limited_.limit = SIZE_MAX;
  EXPECT_EQ(trainer.free_slots(), 1);
  trainer.admit({1}, {});
  const TrialId id{1};
  limited_.limit = 100;
  EXPECT_EQ(trainer.capture(id), nullptr);
  limited_.limit = SIZE_MAX;
  EXPECT_NE(trainer.capture(id), nullptr);
}

}  // namespace
}  // namespace finetune::testing
