// Peak learning rates of AdamW that are worth a try where nobody has said any.
#pragma once

#include <string>

namespace finetune {

struct UsualRates {
  double low, high;  ///< what is searched, on a logarithmic scale
  double one;        ///< for a single run
  std::string of;    ///< "LoRA", "full fine-tuning of preferences"
};

/// LoRA's best rates lie about ten times above full fine-tuning's (Schulman et al., "LoRA Without Regret", 2025). Those
/// of preferences are set a tenth of cross-entropy's: TRL 1.16.0's trainers have 1e-6 for dpo, kto and orpo by default,
/// and 2e-5 for sft.
inline UsualRates usual_rates(bool full, bool preferences) {
  if (full && preferences) return {2e-7, 2e-5, 3e-6, "full fine-tuning of preferences"};
  if (full) return {2e-6, 2e-4, 3e-5, "full fine-tuning"};
  if (preferences) return {2e-6, 2e-4, 3e-5, "LoRA of preferences"};
  return {2e-5, 2e-3, 3e-4, "LoRA"};
}

}  // namespace finetune
