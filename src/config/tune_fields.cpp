#include "config/field_makers.h"
#include "config/search_fields.h"
#include "config/sections.h"
#include "core/metric.h"

namespace finetune {
namespace {

Field direction_field() {
  return {"tune.direction", "which way is better: minimize|maximize; by itself the metric's own",
          [](RunConfig& c, const ConfigNode& n) {
            const std::string text = text_of("tune.direction", n);
            for (const Direction direction : {Direction::minimize, Direction::maximize}) {
              if (text != to_text(direction)) continue;
              c.tune.direction = direction;
              return;
            }
            throw bad_input("", "tune.direction is " + text + "; allowed: minimize, maximize");
          },
          [](const RunConfig& c) { return ConfigNode::of(std::string(to_text(c.tune.direction))); }};
}

}  // namespace

std::vector<Field> tune_fields() {
  const Range positive{.low = 0, .open_low = true};
  return {
      whole_field("tune.trials", "trials started", FINETUNE_AT(tune.trials), 1, 10'000'000),
      tuner_part_field("tune.sampler", "where to look: {name: random, ...}", FINETUNE_AT(tune.sampler)),
      tuner_part_field("tune.scheduler", "how long to go on: {name: asha, ...}", FINETUNE_AT(tune.scheduler)),
      enqueue_field(),
      list_field("tune.warm_start",
                 "earlier studies to learn from: study.db files of ours or Optuna's, FILE#NAME where one holds several",
                 FINETUNE_AT(tune.warm_start)),
      optional_text_field("tune.method",
                          "stands for sampler and scheduler: auto, bohb, mobster, optuna, SAMPLER+SCHEDULER",
                          FINETUNE_AT(tune.method)),
      text_field("tune.metric", "what is tuned", FINETUNE_AT(tune.metric), metric_names()),
      direction_field(),
      optional_whole_field("tune.concurrent", "trials resident at once: a number or auto", FINETUNE_AT(tune.concurrent),
                           1, "auto"),
      optional_whole_field("tune.budget.steps", "stop the study after this many steps of all trials",
                           FINETUNE_AT(tune.budget.steps), 1, ""),
      optional_whole_field("tune.budget.tokens", "the same in tokens", FINETUNE_AT(tune.budget.tokens), 1, ""),
      optional_number_field("tune.budget.seconds", "the same in seconds", FINETUNE_AT(tune.budget.seconds), positive),
      optional_number_field("tune.budget.target", "end when a completed trial's metric is at least this good",
                            FINETUNE_AT(tune.budget.target), {}),
      optional_whole_field("tune.budget.patience", "end when N trials have ended without a better completed one",
                           FINETUNE_AT(tune.budget.patience), 1, ""),
      whole_field("tune.seed", "of sampler and scheduler", FINETUNE_AT(tune.seed), 0),
      whole_field("tune.steps", "asktell: full budget of a trial", FINETUNE_AT(tune.steps), 1)};
}

}  // namespace finetune
