#include "host/trust.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/params.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr std::size_t kJudged = 3;  // the winner and the two behind it

std::string seeds_text(std::int64_t seeds) {
  return seeds == 1 ? "1 more seed" : fmt::format("{} more seeds", seeds);
}

std::string cost_text(std::int64_t steps, std::int64_t used) {
  const double share = 100.0 * static_cast<double>(steps) / static_cast<double>(std::max<std::int64_t>(1, used));
  return fmt::format("{} steps, {:.0f} % of those used", with_commas(steps), share);
}

// Why the best were not trained again, or that they were.
std::string confirmation_text(const TuneConfig& tune, bool full, const StudyResult& result) {
  const AfterResult& after = result.after;
  const ConfirmConfig asked = tune.confirm.value_or(ConfirmConfig{});
  if (after.confirms && after.confirmed.empty()) return "not confirmed: every run with another seed failed";
  if (after.confirms) return "confirmed with " + seeds_text(asked.seeds);
  if (!tune.confirm || !result.best) return "";
  const std::string how = fmt::format("--set tune.confirm.seeds={} does it", asked.seeds);
  if (after.confirm_steps)
    return fmt::format("not confirmed: training the best{} again with {} would cost {}; {}",
                       after.confirm_count == 1 ? "" : fmt::format(" {}", after.confirm_count), seeds_text(asked.seeds),
                       cost_text(*after.confirm_steps, result.steps), how);
  return full && tune.confirm_is_auto ? "not confirmed: whole models are many weights to keep; " + how : "";
}

std::vector<ConfirmedFact> confirmed_facts(const std::vector<Confirmed>& confirmed) {
  std::vector<ConfirmedFact> facts;
  for (const Confirmed& one : confirmed) facts.push_back({one.trial.value, one.metrics, one.mean, one.standard_error});
  return facts;
}

std::vector<JudgedFact> judged_facts(const std::vector<JudgedRun>& judged) {
  std::vector<JudgedFact> facts;
  for (const JudgedRun& one : judged)
    facts.push_back({is_listed(one.trial) ? std::optional(one.trial.value) : std::nullopt, one.examples});
  return facts;
}

}  // namespace

// A whole model is three times its weights to keep: the best alone, where nothing else is asked for.
AfterSearch after_search(const Session& session) {
  const TuneConfig& tune = session.config.tune;
  const bool full = session.config.train.full();
  AfterSearch after{.confirm = tune.confirm,
                    .confirm_is_auto = tune.confirm_is_auto,
                    .audit = tune.audit,
                    .ablation = tune.ablation,
                    .has_test = !session.data.test.examples.empty(),
                    .judged = full ? 0 : kJudged,
                    .defaults = searched_defaults(session.config)};
  if (full && tune.confirm_is_auto) after.confirm.reset();
  return after;
}

void add_trust(const Session& session, const StudyResult& result, ReportFacts& facts) {
  const TuneConfig& tune = session.config.tune;
  const AfterResult& after = result.after;
  if (facts.interrupted) return;
  facts.confirmation = confirmation_text(tune, session.config.train.full(), result);
  facts.confirmed = confirmed_facts(after.confirmed);
  if (after.audited) facts.audit = AuditFact{*after.audited, *after.would_have_won};
  for (const AblationStep& step : after.ablation) facts.ablation.push_back({step.parameter, step.value, step.metric});
  facts.judged = judged_facts(after.judged);
  facts.look_failure = after.look_failure;
  facts.test_files = session.config.data.test;
  if (after.test) facts.test = TestFact{after.test->best, after.test->default_run, after.test->base};
}

}  // namespace finetune
