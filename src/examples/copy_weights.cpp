// A host with a population rule of its own: every twenty steps the trial with the highest training loss takes over the
// weights and moments of the one with the lowest, and keeps its own hyperparameters. A copy is a slot copy in memory.
//
//   example_copy_weights MODEL TRAIN VALID OUT
#include <algorithm>

#include "examples/host.h"

namespace {

constexpr std::int64_t kEvery = 20;

void copy_best_over_worst(std::span<const finetune::Report> reports, std::vector<finetune::Action>& actions) {
  if (reports.size() < 2 || reports.front().step % kEvery != 0) return;
  const auto [best, worst] = std::minmax_element(
      reports.begin(), reports.end(), [](const auto& a, const auto& b) { return *a.train_loss < *b.train_loss; });
  actions.push_back({.trial = worst->trial,
                     .what = finetune::Action::Do::copy,
                     .from = best->trial,
                     .reason = "the worst follows the best"});
}

}  // namespace

int main(int count, char** words) {
  return finetune::host_main(count, words, {{"tune.scheduler", "{name: none}"}}, {.on_step = copy_best_over_worst});
}
