#include "tuners/registry.h"

#include "core/error.h"
#include "core/text.h"
#include "tuners/samplers/enqueued.h"
#include "tuners/samplers/samplers.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

template <typename Made, typename Request>
struct Entry {
  const char* name;
  std::unique_ptr<Made> (*make)(const Request&);
};

constexpr Entry<Sampler, SamplerRequest> kSamplers[] = {
    {"random", make_random}, {"grid", make_grid}, {"sobol", make_sobol}, {"halton", make_halton},
    {"tpe", make_tpe},       {"gp", make_gp},     {"cmaes", make_cmaes},
};

constexpr Entry<Scheduler, SchedulerRequest> kSchedulers[] = {{"none", make_none},
                                                              {"asha", make_asha},
                                                              {"median", make_median},
                                                              {"percentile", make_percentile},
                                                              {"threshold", make_threshold},
                                                              {"patient", make_patient},
                                                              {"pbt", make_pbt},
                                                              {"pb2", make_pb2},
                                                              {"replay", make_replay},
                                                              {"wilcoxon", make_wilcoxon},
                                                              {"early_exit", make_early_exit},
                                                              {"asha_promotion", make_asha_promotion},
                                                              {"pasha", make_pasha},
                                                              {"hyperband", make_hyperband},
                                                              {"sync_hyperband", make_sync_hyperband}};

template <typename Table>
std::vector<std::string> names(const Table& table) {
  std::vector<std::string> list;
  for (const auto& entry : table) list.emplace_back(entry.name);
  return list;
}

template <typename Table, typename Request>
auto make(const Table& table, const std::string& key, const std::string& name, const Request& request) {
  for (const auto& entry : table) {
    if (name == entry.name) return entry.make(request);
  }
  throw bad_input("",
                  key + " is " + name + "; allowed: " + join(names(table), ", ") + did_you_mean(name, names(table)));
}

}  // namespace

std::vector<std::string> sampler_names() {
  return names(kSamplers);
}
std::vector<std::string> scheduler_names() {
  return names(kSchedulers);
}

std::unique_ptr<Sampler> make_sampler(const std::string& name, const SamplerRequest& request) {
  validate(request.space);
  auto sampler = make(kSamplers, "tune.sampler.name", name, request);
  if (request.enqueue.empty()) return sampler;
  return make_enqueued(request.space, checked_enqueue(request.space, request.enqueue), request.seed,
                       std::move(sampler));
}

std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerRequest& request) {
  return make(kSchedulers, "tune.scheduler.name", name, request);
}

}  // namespace finetune
