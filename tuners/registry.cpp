#include "tuners/registry.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "tuners/samplers/enqueued.h"
#include "tuners/samplers/samplers.h"
#include "tuners/samplers/warm_started.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

template <typename Kind>
std::vector<std::string> names(const std::vector<Kind>& kinds) {
  std::vector<std::string> list;
  for (const auto& kind : kinds) list.push_back(kind.name);
  return list;
}

template <typename Kind, typename Request>
auto make(const std::vector<Kind>& kinds, const std::string& prefix, const std::string& name, const Request& request) {
  for (const auto& kind : kinds) {
    if (name == kind.name) return kind.make(OptionReader(prefix, kind.options, request.options), request);
  }
  throw bad_input(
      "", prefix + ".name is " + name + "; allowed: " + join(names(kinds), ", ") + did_you_mean(name, names(kinds)));
}

template <typename Kind>
std::string help_of(const std::vector<Kind>& kinds, const std::string& key) {
  std::string text = key + ", by name, with the options beside it:\n";
  for (const auto& kind : kinds) {
    text += "  " + kind.name + ": " + kind.what + "\n";
    for (const auto& option : kind.options) text += "      " + describe(option) + "\n";
  }
  return text;
}

}  // namespace

const std::vector<SamplerKind>& samplers() {
  static const std::vector<SamplerKind> kinds{random_kind(), grid_kind(), sobol_kind(), halton_kind(),
                                              tpe_kind(),    gp_kind(),   cmaes_kind(), priorband_kind()};
  return kinds;
}

const std::vector<SchedulerKind>& schedulers() {
  static const std::vector<SchedulerKind> kinds{none_kind(),       asha_kind(),       median_kind(),
                                                percentile_kind(), threshold_kind(),  patient_kind(),
                                                pbt_kind(),        pb2_kind(),        replay_kind(),
                                                wilcoxon_kind(),   early_exit_kind(), asha_promotion_kind(),
                                                pasha_kind(),      hyperband_kind(),  sync_hyperband_kind(),
                                                cut_kind()};
  return kinds;
}

std::vector<std::string> sampler_names() {
  return names(samplers());
}
std::vector<std::string> learning_samplers() {
  std::vector<std::string> list;
  for (const SamplerKind& kind : samplers()) {
    if (kind.learns) list.push_back(kind.name);
  }
  return list;
}
std::vector<std::string> scheduler_names() {
  return names(schedulers());
}

bool wants_one_process(const std::string& scheduler) {
  return std::ranges::any_of(schedulers(),
                             [&](const SchedulerKind& kind) { return kind.one_process && kind.name == scheduler; });
}

bool judges_one_cohort(const std::string& scheduler) {
  return std::ranges::any_of(schedulers(),
                             [&](const SchedulerKind& kind) { return kind.one_cohort && kind.name == scheduler; });
}

bool stops_none(const std::string& scheduler) {
  return std::ranges::any_of(schedulers(),
                             [&](const SchedulerKind& kind) { return kind.stops_none && kind.name == scheduler; });
}

std::string tuners_help() {
  return help_of(samplers(), "tune.sampler") + "\n" + help_of(schedulers(), "tune.scheduler");
}

std::unique_ptr<Sampler> make_sampler(const std::string& name, const SamplerRequest& request) {
  validate(request.space);
  auto sampler = make(samplers(), "tune.sampler", name, request);
  if (!request.past.empty()) sampler = make_warm_started(request.past, std::move(sampler));
  if (request.enqueue.empty()) return sampler;
  return make_enqueued(request.space, checked_enqueue(request.space, request.enqueue), request.seed,
                       std::move(sampler));
}

std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerRequest& request) {
  return make(schedulers(), "tune.scheduler", name, request);
}

}  // namespace finetune
