// A host with its own stopping rule: a trial whose training loss has not fallen by one per cent over its last twenty
// steps is ended. The scheduler named in the configuration goes on deciding beside it.
//
//   example_stop_rule MODEL TRAIN VALID OUT
#include <deque>
#include <map>

#include "examples/host.h"

namespace {

constexpr std::size_t kWindow = 20;

class StopWhenFlat {
 public:
  void operator()(std::span<const finetune::Report> reports, std::vector<finetune::Action>& actions) {
    for (const auto& report : reports) {
      auto& losses = losses_[report.trial];
      losses.push_back(*report.train_loss);
      if (losses.size() <= kWindow) continue;
      if (mean(losses, kWindow / 2, kWindow) > 0.99 * mean(losses, 0, kWindow / 2))
        actions.push_back({.trial = report.trial, .reason = "training loss is flat"});
      losses.pop_front();
    }
  }

 private:
  static double mean(const std::deque<double>& losses, std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += losses[i];
    return sum / static_cast<double>(end - begin);
  }
  std::map<finetune::TrialId, std::deque<double>> losses_;
};

}  // namespace

int main(int count, char** words) {
  return finetune::host_main(count, words, {{"tune.scheduler", "{name: none}"}}, {.on_step = StopWhenFlat()});
}
