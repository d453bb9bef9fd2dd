#include "config/field_makers.h"
#include "config/search_fields.h"
#include "config/sections.h"
#include "core/database_url.h"
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

// The words that stand for a whole section: auto, and null for none.
Field confirm_field() {
  return {"tune.confirm",
          "train the best configurations again with other seeds: {top: 3, seeds: 2}; auto: where that costs at most a "
          "quarter of the steps; null: never",
          [](RunConfig& c, const ConfigNode& n) {
            c.tune.confirm.reset();
            c.tune.confirm_is_auto = false;
            if (n.kind == ConfigNode::Kind::null) return;
            c.tune.confirm = ConfirmConfig{};
            if (n.text == "auto" || n.value == Value(std::string("auto"))) {
              c.tune.confirm_is_auto = true;
              return;
            }
            if (n.kind != ConfigNode::Kind::map) wrong("tune.confirm", "{top: N, seeds: N}, auto or null", n);
            for (const auto& [name, value] : n.entries) set_key(c, "tune.confirm." + name, value);
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.tune.confirm_is_auto) return ConfigNode::of(std::string("auto"));
            if (!c.tune.confirm) return ConfigNode{};
            return std::nullopt;  // its parts are printed
          }};
}

// A part of tune.confirm, which then is on.
Field confirm_part(const char* name, const char* help, std::int64_t ConfirmConfig::*part, std::int64_t high) {
  const std::string key = std::string("tune.confirm.") + name;
  return {key, help,
          [key, part, high](RunConfig& c, const ConfigNode& n) {
            if (!c.tune.confirm) c.tune.confirm = ConfirmConfig{};
            c.tune.confirm_is_auto = false;
            (*c.tune.confirm).*part = whole_of(key, n, 1, high);
          },
          [part](const RunConfig& c) -> std::optional<ConfigNode> {
            if (!c.tune.confirm || c.tune.confirm_is_auto) return std::nullopt;
            return ConfigNode::of((*c.tune.confirm).*part);
          }};
}

// Addresses are printed without their passwords.
Field warm_start_field() {
  const std::string key = "tune.warm_start";
  Field field = list_field(key,
                           "earlier studies to learn from: study.db files of ours or Optuna's, or addresses of "
                           "PostgreSQL databases; FILE#NAME where one holds several",
                           FINETUNE_AT(tune.warm_start));
  field.set = [key, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    for (const std::string& entry : c.tune.warm_start) {
      if (!is_database_url(entry)) continue;
      if (const std::string problem = url_problem(entry); !problem.empty())
        throw bad_input("", key + ": an address " + problem);
    }
  };
  field.get = [get = field.get](const RunConfig& c) {
    RunConfig shown;
    for (const std::string& entry : c.tune.warm_start) shown.tune.warm_start.push_back(without_password(entry));
    return get(shown);
  };
  return field;
}

}  // namespace

std::vector<Field> tune_fields() {
  const Range positive{.low = 0, .open_low = true};
  return {
      whole_field("tune.trials", "trials started", FINETUNE_AT(tune.trials), 1, 10'000'000),
      tuner_part_field("tune.sampler", "where to look: {name: random, ...}", FINETUNE_AT(tune.sampler)),
      tuner_part_field("tune.scheduler", "how long to go on: {name: asha, ...}", FINETUNE_AT(tune.scheduler)),
      enqueue_field(),
      warm_start_field(),
      optional_text_field("tune.method",
                          "stands for sampler and scheduler: auto, bohb, mobster, optuna, SAMPLER+SCHEDULER",
                          FINETUNE_AT(tune.method)),
      text_field("tune.metric", "what is tuned", FINETUNE_AT(tune.metric), metric_names()),
      direction_field(),
      optional_choice_field("tune.rung_metric",
                            "what is compared before a trial's end; by itself valid_loss where the metric needs texts",
                            FINETUNE_AT(tune.rung_metric), {"valid_loss", "same"}),
      whole_field("tune.generate.max_new_tokens", "of a text that a metric judges",
                  FINETUNE_AT(tune.generate.max_new_tokens), 1, 1 << 20),
      whole_field("tune.generate.examples", "validation rows that are continued, at most",
                  FINETUNE_AT(tune.generate.examples), 1),
      list_field("tune.generate.stop", "a text ends before the first of these", FINETUNE_AT(tune.generate.stop)),
      list_field("tune.command",
                 "metric command: program and arguments; it gets a file of {prompt, reference, prediction} lines and "
                 "prints a number",
                 FINETUNE_AT(tune.command)),
      number_field("tune.command_timeout", "seconds that it may take", FINETUNE_AT(tune.command_timeout), positive),
      optional_number_field(
          "tune.eval_share",
          "of a trial's time that evaluations may take, from which follows how many rows they ask, 32 "
          "at least, the same for all trials; absent: 0.2, but all rows where a loss is tuned",
          FINETUNE_AT(tune.eval_share), {.low = 0, .high = 1, .open_low = true}),
      confirm_field(),
      confirm_part("top", "how many of the best", &ConfirmConfig::top, 1000),
      confirm_part("seeds", "how many other seeds", &ConfirmConfig::seeds, 1000),
      number_field("tune.audit", "share of stopped trials that run on to the end, to see what stopping cost",
                   FINETUNE_AT(tune.audit), {.low = 0, .high = 1}),
      flag_field("tune.ablation", "train the path from the default configuration to the best, a change at a time",
                 FINETUNE_AT(tune.ablation)),
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
