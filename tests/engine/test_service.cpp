// The engine as a service: a slot's numbers are those of a trial of `train`, and the same bits whoever is asked beside
// it, in whatever order.
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cmath>
#include <new>

#include "core/error.h"
#include "engine/packed_trainer.h"
#include "engine/service.h"
#include "models/families/family.h"
#include "support/compare.h"
#include "support/counting_allocator.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

using Ids = std::vector<std::int32_t>;

TrainConfig config_of(std::size_t i) {
  TrainConfig config;
  config.seed = static_cast<std::int64_t>(i);
  config.lora.rank = std::vector<std::int64_t>{1, 4, 8, 16, 17, 40}[i % 6];
  config.lora.alpha = 8;
  config.lora.dropout = i % 2 == 0 ? 0.3 : 0;
  if (i == 1) config.lora.targets = {"attention"};
  if (i == 3) config.lora.rate_ratio = 4;
  config.schedule = RateSchedule::constant;
  config.warmup_ratio = 0;
  config.learning_rate = 1e-2;
  return config;
}

StepRequest step_of(std::int64_t slot, const TrainConfig& config) {
  return {.slot = slot, .learning_rate = config.learning_rate, .weight_decay = 0.1, .max_grad_norm = 1};
}

std::vector<TermedExample> plain(const std::vector<Example>& examples) {
  std::vector<TermedExample> all;
  for (const Example& example : examples) all.push_back({example, {}});
  return all;
}

// Every loss token by this loss, as if it had been sampled a little more likely or less.
std::vector<TermedExample> termed(const std::vector<Example>& examples, TokenLoss loss) {
  std::vector<TermedExample> all = plain(examples);
  std::size_t number = 0;
  for (TermedExample& one : all) {
    for (std::int64_t i = 0; i < one.example.loss_tokens(); ++i, ++number)
      one.terms.push_back({.loss = loss,
                           .weight = number % 5 == 0 ? 0.5 : 1,
                           .logprob = -3.5 - 0.1 * static_cast<double>(number % 7),
                           .advantage = number % 3 == 0 ? -0.7 : 1.2});
  }
  return all;
}

// A store and the service over it.
struct Served {
  Served(const DecoderBase& base, std::int64_t slots, std::int64_t tokens_per_pass = 64) {
    const StoreOptions room{.slots = slots, .max_rank = 48, .targets = projections_of(base.options)};
    store = make_lora_store(base, room, nullptr);
    service = std::make_unique<Service>(*store, ServiceOptions{.tokens_per_pass = tokens_per_pass,
                                                               .room = room,
                                                               .interrupted = [this] { return asked++ == end_at; }});
  }
  at::Tensor params(std::int64_t slot) const { return store->params_SP().select(0, slot).clone(); }
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<Service> service;
  int asked = 0, end_at = -1;  // how often it was asked whether the user wants the end, and when that is so
};

class EngineService : public ::testing::Test {
 protected:
  EngineService() : base_(tiny_base(tiny_options(), at::kFloat)) {}

  // What is asked of slot i at a step.
  PassRequest request_of(std::size_t i, std::int64_t slot, int step) const {
    const std::vector<std::vector<std::int64_t>> lengths{{9, 4, 17}, {30}, {3, 12, 8, 21, 5}, {14, 2}, {7, 11, 6}, {2}};
    const auto examples = tiny_examples(lengths[i % 6], 37, 100 * i + static_cast<std::size_t>(step));
    const TokenLoss losses[] = {TokenLoss::cross_entropy, TokenLoss::ppo, TokenLoss::importance_sampling,
                                TokenLoss::cispo};
    const bool has_terms = i % 3 != 0;
    return {.slot = slot,
            .examples = has_terms ? termed(examples, losses[i % 4]) : plain(examples),
            .divisor = i == 2 ? std::optional(10.0) : std::nullopt,
            .logprobs = true};
  }

  struct Outcome {
    std::vector<PassAnswer> passes;
    std::vector<StepAnswer> steps;
    std::vector<SampleAnswer> samples;
    at::Tensor params;
  };

  // Slots are opened and asked in the order of `who`: two calls, a step, again, then what it writes.
  std::map<std::size_t, Outcome> serve(const std::vector<std::size_t>& who) const {
    const Served served(base_, static_cast<std::int64_t>(who.size()));
    std::map<std::size_t, std::int64_t> slots;
    for (const std::size_t i : who) slots[i] = served.service->open(config_of(i));
    std::map<std::size_t, Outcome> outcomes;
    const auto note = [&](auto member, const auto& answers) {
      for (std::size_t k = 0; k < who.size(); ++k) (outcomes[who[k]].*member).push_back(answers[k]);
    };
    for (int step = 0; step < 3; ++step) {
      for (const int half : {0, 1}) {
        std::vector<PassRequest> requests;
        for (const std::size_t i : who) requests.push_back(request_of(i, slots[i], 2 * step + half));
        note(&Outcome::passes, served.service->forward_backward(requests));
        note(&Outcome::passes, served.service->forward(requests));
      }
      std::vector<StepRequest> steps;
      for (const std::size_t i : who) steps.push_back(step_of(slots[i], config_of(i)));
      note(&Outcome::steps, served.service->optim_step(steps));
    }
    std::vector<SampleRequest> samples;
    for (const std::size_t i : who)
      samples.push_back({.slot = slots[i],
                         .prompts = {{1, 2, 3}, Ids(20, static_cast<std::int32_t>(i))},
                         .count = 2,
                         .max_new_tokens = 5 + static_cast<std::int64_t>(i),
                         .sampling = {.temperature = 1, .top_p = i == 1 ? 0.9 : 1, .seed = i}});
    note(&Outcome::samples, served.service->sample(samples));
    for (const std::size_t i : who) outcomes[i].params = served.params(slots[i]);
    return outcomes;
  }

  DecoderBase base_;
};

void expect_same(const SampleAnswer& a, const SampleAnswer& b) {
  ASSERT_EQ(a.sequences.size(), b.sequences.size());
  for (std::size_t p = 0; p < a.sequences.size(); ++p) {
    ASSERT_EQ(a.sequences[p].size(), b.sequences[p].size());
    for (std::size_t n = 0; n < a.sequences[p].size(); ++n) {
      EXPECT_EQ(a.sequences[p][n].ids, b.sequences[p][n].ids);
      EXPECT_EQ(a.sequences[p][n].logprobs, b.sequences[p][n].logprobs);
    }
  }
}

template <typename Outcome>
void expect_same(const Outcome& a, const Outcome& b) {
  for (std::size_t i = 0; i < a.passes.size(); ++i) {
    EXPECT_EQ(a.passes[i].loss, b.passes[i].loss);
    EXPECT_EQ(a.passes[i].logprobs, b.passes[i].logprobs);
    EXPECT_EQ(a.passes[i].failure, "");
  }
  for (std::size_t i = 0; i < a.steps.size(); ++i) EXPECT_EQ(a.steps[i].gradient_norm, b.steps[i].gradient_norm);
  for (std::size_t i = 0; i < a.samples.size(); ++i) expect_same(a.samples[i], b.samples[i]);
  EXPECT_TRUE(a.params.equal(b.params));
}

TEST_F(EngineService, APackOfSixEqualsSixAloneInAnyOrder) {
  const auto packed = serve({0, 1, 2, 3, 4, 5}), backward = serve({5, 4, 3, 2, 1, 0});
  for (std::size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE("slot " + std::to_string(i));
    expect_same(packed.at(i), backward.at(i));
    expect_same(packed.at(i), serve({i}).at(i));
  }
}

// Five steps of a trial over the same batches, its dropout included.
TEST_F(EngineService, ACallAndAStepAreATrialsStep) {
  const auto examples = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5}, 37, 3);
  TrainConfig config = config_of(2);
  config.batch_size = 4;
  config.weight_decay = 0.1;
  Served served(base_, 1);
  const auto bank =
      make_lora_store(base_, {.slots = 1, .max_rank = 16, .targets = projections_of(base_.options)}, nullptr);
  PackedTrainer trainer(*bank, examples, Batch(), {.tokens_per_pass = 64, .shuffle = false});
  const TrialId trial{7};
  trainer.admit(trial, config);
  const std::int64_t slot = served.service->open(config);
  for (int step = 0; step < 5; ++step) {
    const auto first = examples.begin() + (step % 2) * 4;
    const PassRequest request{.slot = slot, .examples = plain({first, first + 4})};
    const auto pass = served.service->forward_backward(std::span(&request, 1)).front();
    const StepRequest how = step_of(slot, config);
    const auto stepped = served.service->optim_step(std::span(&how, 1)).front();
    const StepResult expected = trainer.step(std::span(&trial, 1)).front();
    EXPECT_EQ(pass.loss, expected.train_loss);
    EXPECT_EQ(pass.tokens, expected.tokens);
    EXPECT_EQ(stepped.gradient_norm, expected.gradient_norm);
    EXPECT_EQ(stepped.step, expected.step);
  }
  const PeftAdapter mine = served.service->adapter(slot);
  const AdapterTensors theirs = bank->adapter_of(bank->capture(0), config);
  for (std::int64_t layer = 0; layer < theirs.layers(); ++layer) {
    for (const Projection p : projections_of(base_.options).members()) {
      EXPECT_TRUE(mine.tensors.at(layer, p).a_RD.equal(theirs.at(layer, p).a_RD));
      EXPECT_TRUE(mine.tensors.at(layer, p).b_OR.equal(theirs.at(layer, p).b_OR));
    }
  }
}

// A batch in three calls, each as long as a pass, is the batch in one.
TEST_F(EngineService, CallsThatAccumulateAreOneCall) {
  const auto examples = tiny_examples({9, 4, 17, 3}, 37, 3);
  std::int64_t loss_tokens = 0;
  for (const Example& example : examples) loss_tokens += example.loss_tokens();
  const Served once(base_, 1, 17), parts(base_, 1, 17);
  for (const Served* served : {&once, &parts}) served->service->open(config_of(2));
  for (int step = 0; step < 2; ++step) {
    const PassRequest whole{.slot = 0, .examples = plain(examples)};
    const double loss = once.service->forward_backward(std::span(&whole, 1)).front().loss;
    double sum = 0;
    for (const auto& [first, last] : {std::pair{0, 2}, std::pair{2, 3}, std::pair{3, 4}}) {
      const PassRequest part{.slot = 0,
                             .examples = plain({examples.begin() + first, examples.begin() + last}),
                             .divisor = static_cast<double>(loss_tokens)};
      sum += parts.service->forward_backward(std::span(&part, 1)).front().loss;
    }
    EXPECT_NEAR(sum, loss, 1e-12);
    EXPECT_TRUE(once.store->grads_SP().equal(parts.store->grads_SP()));
    const StepRequest how = step_of(0, config_of(2));
    once.service->optim_step(std::span(&how, 1));
    parts.service->optim_step(std::span(&how, 1));
  }
  EXPECT_TRUE(once.params(0).equal(parts.params(0)));
}

// Sampled by the slot itself, so the ratio is 1 and every loss has the gradient of cross entropy.
TEST_F(EngineService, OnItsOwnSamplesEveryLossIsReinforce) {
  const Served served(base_, 4);
  const SampleRequest ask{.prompts = {{3, 1, 4}}, .count = 3, .max_new_tokens = 9, .sampling = {.temperature = 1}};
  const auto samples = served.service->sample(std::span(&ask, 1)).front().sequences.front();
  std::vector<PassRequest> requests;
  for (const TokenLoss loss :
       {TokenLoss::cross_entropy, TokenLoss::importance_sampling, TokenLoss::ppo, TokenLoss::cispo}) {
    TrainConfig config = config_of(0);
    config.lora.dropout = 0;
    PassRequest& request = requests.emplace_back(PassRequest{.slot = served.service->open(config), .logprobs = true});
    for (const SampledSequence& sample : samples) {
      TermedExample one;
      one.example.ids = {3, 1, 4};
      one.example.loss.assign(3, 0);
      for (std::size_t i = 0; i < sample.ids.size(); ++i) {
        one.example.ids.push_back(sample.ids[i]);
        one.example.loss.push_back(1);
        one.terms.push_back({.loss = loss, .logprob = static_cast<double>(sample.logprobs[i]), .advantage = 1});
      }
      request.examples.push_back(std::move(one));
    }
  }
  const auto answers = served.service->forward_backward(requests);
  for (std::size_t k = 0; k < samples.size(); ++k)
    EXPECT_TRUE(all_near<float>(std::span<const float>(answers[0].logprobs[k]),
                                std::span<const float>(samples[k].logprobs), {.absolute = 1e-5}));
  const at::Tensor plain = served.store->grads_SP().select(0, 0);
  EXPECT_GT(plain.abs().max().item<double>(), 1e-3);
  for (std::int64_t slot = 1; slot < 4; ++slot)
    EXPECT_LT((served.store->grads_SP().select(0, slot) - plain).abs().max().item<double>(), 1e-5) << slot;
  EXPECT_NEAR(answers[1].loss, -1, 1e-5);
  EXPECT_NEAR(answers[3].loss, answers[0].loss, 1e-5);
}

TEST_F(EngineService, GradientsThatAreNotFiniteAreOneSlotsAlone) {
  const auto run = [&](bool beside) {
    const Served served(base_, 2);
    for (const std::size_t i : {2u, 0u}) served.service->open(config_of(i));
    std::vector<PassRequest> requests{request_of(2, 0, 0), request_of(0, 1, 0)};
    requests[1].divisor = 1e-300;
    if (!beside) requests.pop_back();
    served.service->forward_backward(requests);
    std::vector<StepRequest> steps{step_of(0, config_of(2)), step_of(1, config_of(0))};
    if (!beside) steps.pop_back();
    const at::Tensor before = served.params(1);
    const auto answers = served.service->optim_step(steps);
    EXPECT_EQ(answers[0].failure, "");
    if (beside) {
      EXPECT_NE(answers[1].failure.find("not finite"), std::string::npos) << answers[1].failure;
      EXPECT_TRUE(served.params(1).equal(before));
      const PassRequest again = request_of(0, 1, 1);
      served.service->forward_backward(std::span(&again, 1));
      EXPECT_EQ(served.service->optim_step(std::span(&steps[1], 1)).front().failure, "");
    }
    return served.params(0);
  };
  EXPECT_TRUE(run(true).equal(run(false)));
}

// Between two passes and after each token; what was added by then is taken back.
TEST_F(EngineService, AnInterruptedCallLeavesItsSlotsAsTheyWere) {
  Served served(base_, 2, 16);
  const std::int64_t slot = served.service->open(config_of(1)), fresh = served.service->open(config_of(2));
  served.service->forward_backward(std::vector{request_of(1, slot, 0)});
  const std::int64_t pending = served.service->state().front().pending_tokens;
  const at::Tensor grads = served.store->grads_SP().clone();
  const std::vector requests{request_of(4, slot, 1), request_of(4, fresh, 1)};
  served.asked = 0;
  served.end_at = 1;  // the first pass is through
  EXPECT_THROW(served.service->forward_backward(requests), Interrupted);
  EXPECT_EQ(served.asked, 2);
  EXPECT_TRUE(at::equal(served.store->grads_SP().select(0, slot), grads.select(0, slot)));
  EXPECT_EQ(served.store->grads_SP().select(0, fresh).abs().max().item<float>(), 0);
  EXPECT_EQ(served.service->state().front().pending_tokens, pending);
  const std::vector texts{SampleRequest{.slot = slot, .prompts = {{1, 2}}, .max_new_tokens = 9, .sampling = {}}};
  served.asked = 0;
  served.end_at = 3;
  EXPECT_THROW(served.service->sample(texts), Interrupted);
  EXPECT_EQ(served.asked, 4);
}

TEST_F(EngineService, AStepWithoutGradientsIsRefused) {
  const Served served(base_, 1);
  served.service->open(config_of(0));
  const StepRequest how = step_of(0, config_of(0));
  const at::Tensor before = served.params(0);
  EXPECT_NE(served.service->optim_step(std::span(&how, 1)).front().failure.find("no gradients"), std::string::npos);
  EXPECT_TRUE(served.params(0).equal(before));
}

TEST_F(EngineService, TheBaseAnswersBesideSlots) {
  const Served served(base_, 1), alone(base_, 1);
  served.service->open(config_of(2));
  std::vector<PassRequest> requests{request_of(2, 0, 0), request_of(1, 0, 0)};
  served.service->forward_backward(std::span(requests).first(1));  // so that the slot is no longer the base
  const StepRequest how = step_of(0, config_of(2));
  served.service->optim_step(std::span(&how, 1));
  requests[1].slot.reset();
  const auto both = served.service->forward(requests);
  EXPECT_EQ(both[1].logprobs, alone.service->forward(std::span(&requests[1], 1)).front().logprobs);
  const PassRequest of_slot = request_of(1, 0, 0);
  EXPECT_NE(both[1].logprobs, served.service->forward(std::span(&of_slot, 1)).front().logprobs);
  SampleRequest ask{.prompts = {{5, 6}}, .max_new_tokens = 12};
  const SampleRequest asks[] = {ask, {.slot = 0, .prompts = {{5, 6}}, .max_new_tokens = 12}};
  expect_same(served.service->sample(asks)[0], alone.service->sample(std::span(&ask, 1))[0]);
  ask.ends = [](std::span<const std::int32_t> ids) { return ids.size() == 3; };
  EXPECT_EQ(alone.service->sample(std::span(&ask, 1))[0].sequences[0][0].ids.size(), 3u);
}

// With gradients that wait, into another slot.
TEST_F(EngineService, AnImageGoesOnWhereItWas) {
  const Served one(base_, 1), other(base_, 2);
  const auto go_on = [&](const Served& served, std::int64_t slot, int step) {
    const PassRequest request = request_of(4, slot, step);
    served.service->forward_backward(std::span(&request, 1));
    const StepRequest how = step_of(slot, config_of(4));
    return served.service->optim_step(std::span(&how, 1)).front().gradient_norm;
  };
  one.service->open(config_of(4));
  go_on(one, 0, 0);
  const PassRequest waits = request_of(4, 0, 1);
  one.service->forward_backward(std::span(&waits, 1));
  const auto image = one.service->capture(0);
  other.service->open(config_of(0));
  const std::int64_t slot = other.service->open(config_of(4));
  other.service->restore(slot, image->parts());
  for (const int step : {2, 3}) EXPECT_EQ(go_on(one, 0, step), go_on(other, slot, step));
  EXPECT_TRUE(one.params(0).equal(other.params(slot)));
  EXPECT_THROW(other.service->restore(0, image->parts()), Error);  // another shape
  ImageParts broken = image->parts();
  broken.arrays.pop_back();
  EXPECT_THROW(other.service->restore(slot, broken), Error);
}

TEST_F(EngineService, ASlotThatDoesNotFitNamesTheKey) {
  const Served served(base_, 1);
  const auto refusal = [&](const TrainConfig& config) {
    try {
      served.service->open(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      return std::string(error.what());
    }
    return std::string();
  };
  TrainConfig config;
  config.lora.rank = 49;
  EXPECT_NE(refusal(config).find("rank: the service has room for 48"), std::string::npos) << refusal(config);
  config.lora.rank = 4;
  config.lora.dora = true;
  EXPECT_NE(refusal(config).find("dora"), std::string::npos);
  config.lora.dora = false;
  config.lora.modules_to_save = {"lm_head"};
  EXPECT_NE(refusal(config).find("modules_to_save"), std::string::npos);
  EXPECT_EQ(refusal(config_of(0)), "");
  EXPECT_NE(refusal(config_of(0)).find("all 1 are open"), std::string::npos);
  served.service->close(0);
  EXPECT_EQ(refusal(config_of(0)), "");
}

// Memory ends in the middle of a call: it is begun again in smaller passes, and what waited from the call before is
// neither lost nor added twice. Where not even one example fits, the call fails, and what waited stays.
TEST_F(EngineService, GradientsThatWaitSurviveTheEndOfMemory) {
  const auto examples = tiny_examples(std::vector<std::int64_t>(12, 30), 37, 3);
  struct Run {
    PassAnswer answer;
    std::size_t peak = 0;
    at::Tensor waited, grads;
  };
  const auto run = [&](std::size_t limit) {
    const Served served(base_, 1, 512);
    served.service->open(config_of(1));
    const PassRequest first{.slot = 0, .examples = plain({examples.front()})};
    served.service->forward_backward(std::span(&first, 1));
    const PassRequest second{.slot = 0, .examples = plain(examples)};
    Run run{.waited = served.store->grads_SP().clone()};
    CountingAllocator allocator([] { throw std::bad_alloc(); });
    allocator.bytes->limit = limit;
    run.answer = served.service->forward_backward(std::span(&second, 1)).front();
    allocator.bytes->limit = SIZE_MAX;
    run.peak = allocator.bytes->peak;
    run.grads = served.store->grads_SP().clone();
    return run;
  };
  const Run roomy = run(SIZE_MAX), tight = run(roomy.peak / 4 * 3), none = run(roomy.peak / 16);
  EXPECT_EQ(tight.answer.failure, "");
  EXPECT_FALSE(roomy.grads.equal(tight.grads));  // passes were smaller, so sums were rounded in another order
  EXPECT_LT((roomy.grads - tight.grads).abs().max().item<double>(), 1e-6);
  EXPECT_FALSE(roomy.grads.equal(roomy.waited));
  EXPECT_NE(none.answer.failure.find("out of memory"), std::string::npos);
  EXPECT_TRUE(none.grads.equal(none.waited));
}

TEST(Sampling, DrawsByTheProbabilities) {
  const std::vector<float> logits{0, std::log(2.0F), std::log(5.0F), -1e9F, std::log(2.0F)};
  const auto counts = [&](const Sampling& sampling) {
    std::vector<double> shares(logits.size());
    for (std::uint64_t token = 0; token < 20000; ++token)
      shares[static_cast<std::size_t>(sample_token(logits, sampling, token))] += 1.0 / 20000;
    return shares;
  };
  const auto expect = [&](const Sampling& sampling, const std::vector<double>& shares) {
    EXPECT_TRUE(all_near<double>(std::span<const double>(counts(sampling)), std::span<const double>(shares),
                                 {.absolute = 0.015}));
  };
  expect({.temperature = 1, .seed = 1}, {0.1, 0.2, 0.5, 0, 0.2});
  expect({.temperature = 0.5, .seed = 2}, {1 / 34.0, 4 / 34.0, 25 / 34.0, 0, 4 / 34.0});
  expect({.temperature = 1, .top_k = 2, .seed = 3}, {0, 2 / 7.0, 5 / 7.0, 0, 0});  // the lower id of two alike
  expect({.temperature = 1, .top_p = 0.6, .seed = 4}, {0, 2 / 7.0, 5 / 7.0, 0, 0});
  expect({.temperature = 1, .top_p = 0.5, .seed = 5}, {0, 0, 1, 0, 0});
  expect({}, {0, 0, 1, 0, 0});
}

}  // namespace
}  // namespace finetune::testing
