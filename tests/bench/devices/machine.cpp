#include "machine.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "engine/shapes.h"
#include "network.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kExamples = 8192, kValidation = 128;

Machine machine_of(const std::string& name, const std::string& shape, double tokens_per_second,
                   double tokens_per_pass) {
  constexpr double kLaunches = 59, kLaunchSeconds = 1.5e-6, kStateBytes = 18, kMemory = 4.3e12, kLink = 50e9;
  const DecoderOptions model = shape_of(name, shape, 2048);
  const double state = kStateBytes * static_cast<double>(adapter_parameters(model, 16));
  Machine machine{.name = name, .model = model, .cost = {.ratios = work_ratios(model)}};
  machine.tokens_per_pass = tokens_per_pass;
  machine.move_seconds = state / kLink;
  machine.cost.pass = kLaunches * kLaunchSeconds * static_cast<double>(model.layers);
  machine.cost.trial = 2 * state / kMemory;
  RoundWork pass;
  for (double tokens = 0; tokens < tokens_per_pass; tokens += 1024) add_example(pass, 1024, 1024);
  const RoundCost work_alone{.work = 1, .ratios = machine.cost.ratios};
  const double seconds = tokens_per_pass / tokens_per_second - machine.cost.pass;
  machine.cost.work = seconds / seconds_of(work_alone, pass);
  return machine;
}

RoundWork minus(const RoundWork& a, const RoundWork& b) {
  return a + -1.0 * b;
}

}  // namespace

Machine half_billion() {
  return machine_of("0.5B", "qwen2.5-0.5b", 180e3, 16384);
}

Machine one_and_a_half_billion() {
  return machine_of("1.5B", "qwen2.5-1.5b", 70e3, 16384);
}

Machine four_billion() {
  return machine_of("4B", "qwen3-4b", 28e3, 8192);
}

Machine eight_billion() {
  return machine_of("8B", "llama-3.1-8b", 16e3, 8192);
}

ExampleLengths::ExampleLengths(bool varied) {
  Random random(0, Purpose::test);
  sums_.emplace_back();
  for (std::int64_t i = 0; i < kExamples; ++i) {
    const double length = varied ? std::clamp(400 * std::exp(0.6 * random.normal()), 32.0, 2048.0) : 400;
    const auto tokens = static_cast<std::int64_t>(length);
    sums_.push_back(sums_.back());
    add_example(sums_.back(), tokens, tokens / 2);
  }
}

RoundWork ExampleLengths::window(std::int64_t from, std::int64_t size) const {
  const auto sum = [this](std::int64_t n) -> const RoundWork& { return sums_[static_cast<std::size_t>(n)]; };
  RoundWork work = minus(sum(std::min(from + size, kExamples)), sum(from));
  if (from + size > kExamples) work = work + sum(from + size - kExamples);
  work.trials = 1;
  return work;
}

// Every trial goes through the data from a place of its own.
RoundWork ExampleLengths::batch(TrialId trial, std::int64_t step, std::int64_t size) const {
  return window((trial.value * 2654435761 + step * size) % kExamples, size);
}

RoundWork ExampleLengths::validation() const {
  return window(0, kValidation);
}

RoundWork ExampleLengths::usual(std::int64_t size) const {
  RoundWork work = (static_cast<double>(size) / static_cast<double>(kExamples)) * sums_.back();
  work.trials = 1;
  return work;
}

double round_seconds(const Machine& machine, RoundWork work) {
  work.passes = std::ceil(work.tokens / machine.tokens_per_pass);
  return seconds_of(machine.cost, work);
}

double evaluation_seconds(const Machine& machine, const RoundWork& validation, std::int64_t trials) {
  RoundWork work = static_cast<double>(trials) * validation;
  work.trials = 0;
  return round_seconds(machine, work) / 2;
}

std::vector<double> slowness(std::int64_t devices, bool stragglers) {
  std::vector<double> factors(static_cast<std::size_t>(devices), 1.0);
  if (!stragglers) return factors;
  const std::vector<std::int64_t> order = permutation(devices, Random(0, Purpose::test, 1));
  Random random(0, Purpose::test, 2);
  for (std::int64_t i = 0; i < (devices + 2) / 5; ++i)
    factors[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = random.uniform(1.2, 2.0);
  return factors;
}

double share_used(double busy, std::int64_t devices, double makespan) {
  return makespan > 0 ? busy / (static_cast<double>(devices) * makespan) : 0;
}

}  // namespace finetune::testing
