#include "engine/part_losses.h"

#include <map>

namespace finetune {

void add_part_losses(const std::vector<std::string>& names, const Batch& batch, std::span<const double> nll,
                     EvalResult& result) {
  if (names.empty()) return;
  std::map<std::string, ExampleFigure> sums;  // of losses, and of their tokens
  for (std::size_t i = 0; i < batch.examples.size(); ++i) {
    const ExampleView& example = batch.examples[i];
    const std::string& name = names.at(static_cast<std::size_t>(example.file));
    ExampleFigure& sum = sums.try_emplace(name, ExampleFigure{0, 0}).first->second;
    sum.value += nll[i];
    sum.weight += static_cast<double>(example.loss_tokens());
  }
  for (const auto& [name, sum] : sums) {
    if (!name.empty() && sum.weight > 0) result.task[kPartLoss + name] = sum.value / sum.weight;
  }
}

}  // namespace finetune
