#include "host/past_trials.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/number.h"
#include "host/search_space.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

void refuse_repeated(const std::vector<std::string>& entries) {
  std::set<std::pair<fs::path, std::string>> seen;
  for (const std::string& entry : entries) {
    const PastSource source = past_source(entry);
    std::error_code error;
    if (!seen.emplace(fs::weakly_canonical(source.file, error), source.study).second)
      throw bad_input(entry, "is listed twice in tune.warm_start: its trials would count twice");
  }
}

}  // namespace

std::int64_t PastTrials::count() const {
  std::int64_t trials = 0;
  for (const WarmStudy& study : studies) trials += std::ssize(study.trials);
  return trials;
}

std::vector<std::string> PastTrials::lines() const {
  std::vector<std::string> all;
  for (const WarmStudy& study : studies) all.insert(all.end(), study.lines.begin(), study.lines.end());
  return all;
}

std::string PastTrials::fingerprint() const {
  auto json = nlohmann::ordered_json::array();
  for (const WarmStudy& study : studies) {
    for (const PastTrial& trial : study.trials) {
      auto curve = nlohmann::ordered_json::array();
      for (const auto& [step, value] : trial.curve) curve.push_back({step, number_to_json(value)});
      json.push_back({to_json(trial.params), static_cast<int>(trial.state), study.full_step, curve,
                      trial.value ? number_to_json(*trial.value) : nullptr});
    }
  }
  return content_hash(json.dump());
}

PastTrials read_past_trials(const RunConfig& config) {
  refuse_repeated(config.tune.warm_start);
  const WarmStartFacts facts{
      .space = search_space(config),
      .direction = config.tune.direction,
      .metric = config.tune.metric,
      .model = config.model.path.empty() ? "" : fs::absolute(config.model.path).lexically_normal().string()};
  PastTrials past;
  for (const std::string& entry : config.tune.warm_start)
    past.studies.push_back(warm_study(read_past_study(entry), facts));
  return past;
}

}  // namespace finetune
