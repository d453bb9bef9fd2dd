// What a trainer does when memory ends in the middle of a step. Passes get smaller: half the tokens, down to one
// example of one trial; then lanes of one memory take turns (memory_turns.h). That is all there is to give back: the
// slots of a store are allocated once, so taking a trial off the device would free nothing. Who does not fit even then
// fails alone, and the others' passes get their size back, so that they are what they would be without it.
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "engine/out_of_memory.h"
#include "engine/packed_trainer.h"

namespace finetune {
namespace {

constexpr std::int64_t kFewestTokensPerPass = 8;  // as run.tokens_per_pass

}  // namespace

// The gradients of those of `trials` that fit; the others are taken out. Nothing has been updated yet, so the step may
// be begun again.
RoundPlan PackedTrainer::forward_backward(std::vector<Resident*>& trials, at::Tensor& results_2N,
                                          MemoryTurns::Turn& turn) {
  const PassSize before = pass_size();
  RoundPlan plan;
  with_memory(
      [&] {
        under_way_ = {};
        results_2N =
            at::zeros({2, static_cast<std::int64_t>(trials.size())}, at::TensorOptions(at::kDouble).device(device_));
        at::Tensor losses_N = results_2N.select(0, 0);
        plan = plan_of(trials);
        run_passes(trials, plan, losses_N);
      },
      [&] {
        for (const Resident* trial : trials) store_.grads_SP().select(0, trial->packed.slot).zero_();
        if (find_room(before, turn)) return;
        Resident& alone = *trials.at(under_way_.first_trial);
        alone.failure = misfit() + " at step " + std::to_string(alone.packed.step);
        std::erase(trials, &alone);
        set_pass_size(before);
      });
  return plan;
}

RoundPlan PackedTrainer::plan_of(std::span<Resident* const> trials) {
  const ops::Timed timed(ops::Part::planning);
  return planner_.take(packed_of(trials));
}

void PackedTrainer::evaluate_fitting(std::span<Resident* const> trials, const EvalRequest& request,
                                     std::vector<EvalResult>& results, MemoryTurns::Turn& turn) {
  const PassSize before = pass_size();
  bool fits = true;
  with_memory(
      [&] {
        if (!fits) return;
        for (EvalResult& result : run_evaluation(trials, request)) results.push_back(std::move(result));
      },
      [&] { fits = find_room(before, turn); });
  if (fits) return;
  set_pass_size(before);
  if (trials.size() > 1) {
    for (std::size_t i = 0; i < trials.size(); ++i) evaluate_fitting(trials.subspan(i, 1), request, results, turn);
    return;
  }
  results.push_back({.trial = trials.front()->id,
                     .loss = std::nan(""),
                     .token_accuracy = std::nan(""),
                     .bits_per_byte = std::nan(""),
                     .failure = misfit() + " of the validation data"});
}

std::string PackedTrainer::misfit() const {
  return "out of memory with a batch of a single example (" + std::to_string(under_way_.tokens) + " tokens)";
}

// The largest pass that training is cut into.
PackShape PackedTrainer::largest_pass(std::int64_t tokens_per_pass) const {
  const std::int64_t tokens = std::max({tokens_per_pass, ops::fewest_product_rows(device_), longest_});
  return bucket_of({tokens, tokens, (tokens + longest_ - 1) / longest_, longest_}, tokens_per_pass, {});
}

void PackedTrainer::give_buffers_back() const {
  runner_.release(largest_pass(tokens_per_pass()));
  if (!device_.is_cpu()) at::getDeviceAllocator(device_.type())->emptyCache();
}

// Work beside the passes: once more without the buffers of all lanes. False where there is not enough even then.
bool PackedTrainer::with_buffers_back(const std::function<void()>& work) const {
  bool given_back = false, fits = true;
  with_memory(
      [&] {
        if (fits) work();
      },
      [&] {
        if (images_left()) return;
        fits = !std::exchange(given_back, true);
        if (fits) options_.memory.turns->give_back_all();
      });
  return fits;
}

// Copies of trials leave the device before anything else is tried, since no number hangs on where they lie.
bool PackedTrainer::images_left() const {
  if (!options_.memory.images->leave()) return false;
  at::getDeviceAllocator(device_.type())->emptyCache();
  return true;
}

void PackedTrainer::set_pass_size(const PassSize& size) {
  planner_.set_tokens_per_pass(size.tokens);
  planner_.set_together(size.together);
  give_buffers_back();
}

// False where passes are as small as they get.
bool PackedTrainer::shrink_passes() {
  const auto [tokens, together] = pass_size();
  set_pass_size({std::max(kFewestTokensPerPass, tokens / 2), together && tokens > kFewestTokensPerPass});
  return tokens > kFewestTokensPerPass || together;
}

MemoryTurns::Turn PackedTrainer::begin_turn() {
  MemoryTurns::Turn turn = options_.memory.turns->begin(lane_);
  if (turn.alone()) share(1);
  return turn;
}

// Smaller passes; then the memory to itself, and passes as they were. False where there is nothing left.
bool PackedTrainer::find_room(const PassSize& before, MemoryTurns::Turn& turn) {
  if (images_left() || shrink_passes()) return true;
  if (!options_.memory.turns->go_alone(turn, lane_)) return false;
  share(1);
  set_pass_size(before);
  return true;
}

void PackedTrainer::make_room(const std::string& what) {
  if (images_left() || shrink_passes()) return;
  throw failed(device_.str(), "out of memory for " + what + "; lower tune.concurrent or the rank");
}

void PackedTrainer::say_if_fewer(std::int64_t before) const {
  const std::string now = std::to_string(tokens_per_pass());
  if (tokens_per_pass() == before) return;
  options_.say(device_.str() + ": out of memory; passes of " + now + " tokens from here on, not " +
               std::to_string(before) + " (same batches, sums differ by rounding); run.tokens_per_pass=" + now +
               " spares the try");
}

}  // namespace finetune
