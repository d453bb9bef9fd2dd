// What a caller says of single loss tokens: how each counts, and by which loss. Torch-free.
#pragma once

#include <cstdint>

namespace finetune {

/// Losses of a token, as the protocol of training services has them. lp: its log-probability now; ratio: exp(lp -
/// logprob), by how much likelier it has become since it was sampled.
enum class TokenLoss : std::uint8_t {
  cross_entropy,        ///< -lp
  importance_sampling,  ///< -ratio x advantage: REINFORCE over tokens of an earlier policy
  ppo,    ///< -min(ratio x advantage, clipped ratio x advantage) (Schulman et al., arXiv 1707.06347, equation 7)
  cispo,  ///< -clipped ratio x advantage x lp, no gradient through the ratio (MiniMax-M1, arXiv 2506.13585, equation 4)
};

struct TokenTerm {
  TokenLoss loss = TokenLoss::cross_entropy;
  double weight = 1;   ///< times the loss
  double logprob = 0;  ///< under the policy that sampled the token
  double advantage = 0;
  double clip_low = 0.8, clip_high = 1.2;  ///< ppo, cispo: of the ratio
};

}  // namespace finetune
