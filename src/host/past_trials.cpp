#include "host/past_trials.h"

#include <filesystem>
#include <set>

#include "core/database_url.h"
#include "core/error.h"
#include "host/search_space.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

WarmStartFacts facts_of(const RunConfig& config, bool asktell) {
  WarmStartFacts facts{.space = search_space(config), .direction = config.tune.direction};
  if (asktell) return facts;
  facts.metric = config.tune.metric;
  facts.model = fs::absolute(config.model.path).lexically_normal().string();
  return facts;
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

PastTrials read_past_trials(const RunConfig& config, bool asktell) {
  const WarmStartFacts facts = facts_of(config, asktell);
  std::set<std::pair<fs::path, std::string>> seen;
  PastTrials past;
  for (const std::string& entry : config.tune.warm_start) {
    const PastStudy study = read_past_study(entry);
    const fs::path file = past_source(entry).file;
    if (!seen.emplace(is_database_url(file.string()) ? file : fs::canonical(file), study.name).second)
      throw bad_input(study.source, "is listed twice in tune.warm_start: its trials would count twice");
    past.studies.push_back(warm_study(study, facts));
  }
  return past;
}

}  // namespace finetune
