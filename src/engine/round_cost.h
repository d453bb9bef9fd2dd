// The cost model: how many seconds a round takes, from few short measurements. Torch-free; arithmetic on plain values.
//
//   seconds = pass x passes + work x (tokens + r x sum of squared lengths + q x loss rows) + trial x trials
//
// r and q are ratios of operations, known from the model's shape; pass, work and trial are fitted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "models/decoder_options.h"

namespace finetune {

/// Operations of a pair of tokens in attention and of a row of logits, as shares of those of a token in all products of
/// the blocks.
struct WorkRatios {
  double square = 0, loss_row = 0;
};
/// Forward and backward of adapters: attention's backward pass has five products for the forward's two, and its rows
/// are short, so a pair counts twice.
WorkRatios work_ratios(const DecoderOptions& model);

/// What is to be computed; sums over trials, and over the passes they are cut into.
struct RoundWork {
  double passes = 0, tokens = 0, squares = 0, loss_rows = 0, trials = 0;
};
RoundWork operator+(const RoundWork& a, const RoundWork& b);
RoundWork operator*(double factor, const RoundWork& work);

/// One example in `work`, per trial.
void add_example(RoundWork& work, std::int64_t tokens, std::int64_t loss_tokens);

struct RoundCost {
  double pass = 0, work = 0, trial = 0;  ///< seconds of each; none is negative
  WorkRatios ratios;
};
double seconds_of(const RoundCost& cost, const RoundWork& work);

struct TimedRound {
  RoundWork work;
  double seconds = 0;
};
/// Fitted to three rounds: one trial with one short example, one trial with a batch, several trials with that batch
/// (absent: a trial costs nothing beside its tokens). What is measured is noisy, so no coefficient gets below zero, and
/// all are scaled so that the largest round, the one most like the real ones, comes out as it was.
RoundCost fit_round_cost(const WorkRatios& ratios, const TimedRound& one, const TimedRound& batch,
                         const std::optional<TimedRound>& several);

}  // namespace finetune
