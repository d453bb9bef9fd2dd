#include <ATen/ATen.h>

#include "models/objectives/example_values.h"
#include "models/objectives/objectives.h"

namespace finetune {
namespace {

double sign_of(const SequenceRows& sequence) {
  return sequence.desirable ? 1 : -1;
}

class Kto : public Objective {
 public:
  bool by_example() const override { return true; }
  bool needs_reference() const override { return true; }
  bool needs_divergence() const override { return true; }
  bool reads_sequences() const override { return true; }

  at::Tensor weights(const Pack& pack, const PackLosses* losses) const override {
    if (losses == nullptr) return {};
    const ExampleTable table(pack, losses->nll_N, 1);
    const at::Tensor lead = lead_of(table);
    const at::Tensor slope = at::sigmoid(lead) * at::sigmoid(-lead) * beta_of(table) * table.of_first(sign_of);
    return table.at_answers({slope * table.of_trial([](const WeighedTrial& trial) { return 1 / trial.examples; })});
  }

  std::vector<Figure> figures(const Pack& pack, const PackLosses& losses) const override {
    const ExampleTable table(pack, losses.nll_N, 1);
    const at::Tensor lead = lead_of(table);
    // Means of either side, as parts of the mean over all.
    const at::Tensor side = table.of_first([&](const SequenceRows& sequence) {
      const WeighedTrial& trial = pack.trials[sequence.trial];
      return sign_of(sequence) * trial.examples /
             (sequence.desirable ? trial.desirable : trial.examples - trial.desirable);
    });
    return {{"loss", table.at_examples(at::sigmoid(-lead))},
            {"preference_accuracy", table.at_examples(at::gt(lead, 0).to(at::kDouble))},
            {"reward_margin", table.at_examples(gain(table) * beta_of(table) * side)}};
  }

 private:
  static at::Tensor beta_of(const ExampleTable& table) {
    return table.of_trial([](const WeighedTrial& trial) { return trial.beta; });
  }
  static at::Tensor gain(const ExampleTable& table) { return table.reference(0) - table.answer_nll(0); }
  // Of the answer over the divergence, the other way round where it is undesirable.
  static at::Tensor lead_of(const ExampleTable& table) {
    const at::Tensor divergence = table.of_trial([](const WeighedTrial& trial) { return trial.divergence; });
    return (gain(table) - divergence) * beta_of(table) * table.of_first(sign_of);
  }
};

}  // namespace

const Objective& kto() {
  static const Kto kKto;
  return kKto;
}

}  // namespace finetune
