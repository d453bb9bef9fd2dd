#include "host/replay_source.h"

#include <filesystem>
#include <map>
#include <utility>

#include "config/node.h"
#include "config/search_fields.h"
#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kKey = "tune.scheduler.run";
constexpr std::int64_t kMostTrials = 1000;  // each is listed in tune.enqueue

std::optional<Value> take_option(Params& options, const std::string& name) {
  for (auto option = options.begin(); option != options.end(); ++option) {
    if (option->first != name) continue;
    Value value = std::move(option->second);
    options.erase(option);
    return value;
  }
  return std::nullopt;
}

template <typename Read>
auto read_as(const std::string& path, Read read) {
  if (!fs::exists(path)) throw bad_input(path, std::string("does not exist; ") + kKey + " names a finished run");
  const Json json = read_json_file(path);
  try {
    return read(json);
  } catch (const nlohmann::json::exception& error) {
    throw bad_input(path, std::string("is damaged: ") + error.what());
  }
}

std::int64_t best_trial(const fs::path& run) {
  const std::string path = (run / "report.json").string();
  return read_as(path, [&](const Json& json) {
    if (json.at("best").is_null()) throw bad_input(path, "has no best trial; name one with tune.scheduler.trial");
    return json.at("best").at("trial").get<std::int64_t>();
  });
}

// The first values are those of step 0.
std::vector<HyperparameterChange> schedule_of(const fs::path& run, std::int64_t trial) {
  const fs::path folder = trial_folder(run, trial);
  if (!fs::exists(folder / "schedule.json"))
    return read_as((folder / "trial.json").string(), [](const Json& json) {
      return std::vector<HyperparameterChange>{{0, params_from_json(json.at("params"))}};
    });
  return read_as((folder / "schedule.json").string(), [](const Json& json) {
    std::vector<HyperparameterChange> schedule;
    for (const auto& entry : json)
      schedule.push_back({entry.at("step").get<std::int64_t>(), params_from_json(entry.at("params"))});
    return schedule;
  });
}

void adopt_search(RunConfig& config, const fs::path& run) {
  const std::string path = (run / "run.yaml").string();
  const ConfigNode root = parse_config(path, read_file(path, 16 << 20));
  if (const ConfigNode* search = root.find("search")) set_search_key(config, "search", *search);
}

// "20 train.learning_rate=0.001,30 ...": what changed against the values before.
std::string schedule_text(const std::vector<HyperparameterChange>& schedule) {
  std::map<std::int64_t, std::string> changes;
  Params present = schedule.front().params;
  for (std::size_t i = 1; i < schedule.size(); ++i) {
    for (const auto& [name, value] : schedule[i].params) {
      const Value* now = find_param(present, name);
      if (now != nullptr && *now == value) continue;
      changes[schedule[i].step] += " " + name + "=" + to_text(value);
      set_param(present, name, value);
    }
  }
  std::vector<std::string> entries;
  for (const auto& [step, words] : changes) entries.push_back(std::to_string(step) + words);
  return join(entries, ",");
}

}  // namespace

void resolve_replay(RunConfig& config) {
  TuneConfig& tune = config.tune;
  if (!tune.scheduler || tune.scheduler->name != "replay") return;
  Params& options = tune.scheduler->options;
  const auto run_option = take_option(options, "run"), trial_option = take_option(options, "trial");
  if (!run_option) {
    if (trial_option)
      throw bad_input("", "tune.scheduler.trial needs tune.scheduler.run, the folder of a finished run");
    return;
  }
  if (find_param(options, "schedule") != nullptr)
    throw bad_input("", "tune.scheduler.schedule and tune.scheduler.run are both given; use one");
  const fs::path run = to_text(*run_option);
  if (!fs::is_directory(run)) throw bad_input(run.string(), std::string(kKey) + " is not a folder");
  if (trial_option &&
      (!std::holds_alternative<std::int64_t>(*trial_option) || std::get<std::int64_t>(*trial_option) < 0))
    throw bad_input("", "tune.scheduler.trial must be the number of a trial, not " + to_text(*trial_option));
  const auto schedule = schedule_of(run, trial_option ? std::get<std::int64_t>(*trial_option) : best_trial(run));
  if (config.search.empty()) adopt_search(config, run);
  for (SearchParameter& parameter : config.search) parameter.start.reset();  // the trial's own first values go first
  if (!config.is_given("tune.trials")) tune.trials = 1;
  if (tune.trials > kMostTrials)
    throw bad_input("", "tune.trials is " + std::to_string(tune.trials) + "; a replay takes at most " +
                            std::to_string(kMostTrials));
  tune.enqueue.insert(tune.enqueue.begin(), static_cast<std::size_t>(tune.trials), schedule.front().params);
  const std::string text = schedule_text(schedule);
  if (text.empty())
    tune.scheduler = TunerPart{.name = "none"};  // its values never changed
  else
    options.emplace_back("schedule", text);
}

}  // namespace finetune
