#include "engine/slot_trial.h"

namespace finetune {

void set_from_config(PackTrial& trial, const TrainConfig& config, const SlotOptions& slot) {
  trial.targets = slot.targets;
  trial.rank = computed_rank(slot.stored_rank());
  trial.scale = static_cast<float>(slot.scale);
  trial.dora = slot.dora;
  trial.saved = slot.saved;
  trial.dropout = config.lora.dropout;
  trial.neftune = config.neftune;
  trial.seed = static_cast<std::uint64_t>(config.seed);
  trial.beta = config.beta;
  trial.gamma = config.gamma;
}

}  // namespace finetune
