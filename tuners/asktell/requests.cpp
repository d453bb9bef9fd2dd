#include "tuners/asktell/requests.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

std::string shown(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80);
}

// The entry's fields, none of them unknown.
void check_entry(const Json& entry, const std::string& list, const std::vector<std::string>& known) {
  if (!entry.is_object()) throw bad_input("", list + " must hold objects, not " + shown(entry));
  for (const auto& [key, value] : entry.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw bad_input("", "unknown key \"" + key + "\" in an entry of " + list + did_you_mean(key, known));
  }
}

const Json& field(const Json& entry, const std::string& list, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end()) throw bad_input("", "an entry of " + list + " has no " + key + ": " + shown(entry));
  return *found;
}

double read_value(const Json& json) {
  try {
    return number_from_json(json);
  } catch (const Error&) {
    throw bad_input("", "value must be a number, \"nan\", \"inf\" or \"-inf\", not " + shown(json));
  }
}

const TrialRecord& known_trial(const Json& entry, const std::string& list, const Tuner& tuner,
                               std::set<TrialId>& seen) {
  const TrialId id{read_whole(field(entry, list, "id"), "id", 0)};
  const TrialRecord* trial = tuner.find(id);
  if (trial == nullptr) throw bad_input("", "there is no trial " + std::to_string(id.value));
  if (!seen.insert(id).second) throw bad_input("", "trial " + std::to_string(id.value) + " is in the list twice");
  return *trial;
}

void check_list(const Json& entries, const std::string& list) {
  if (!entries.is_array()) throw bad_input("", list + " must be a list of objects, not " + shown(entries));
}

std::string name_of(const TrialRecord& trial) {
  return "trial " + std::to_string(trial.id.value);
}

ReportEntry read_entry(const Json& entry) {
  check_entry(entry, "report", {"id", "step", "value"});
  return {.id = read_whole(field(entry, "report", "id"), "id", 0),
          .step = read_whole(field(entry, "report", "step"), "step", 1),
          .value = read_value(field(entry, "report", "value"))};
}

Report checked_report(const ReportEntry& entry, const Tuner& tuner, std::int64_t steps) {
  const TrialRecord* trial = tuner.find({entry.id});
  if (trial == nullptr) throw bad_input("", "there is no trial " + std::to_string(entry.id));
  if (trial->state != TrialState::running)
    throw bad_input("", name_of(*trial) + " is " + to_text(trial->state) + " and cannot report");
  if (entry.step > steps)
    throw bad_input("", name_of(*trial) + ": step " + std::to_string(entry.step) +
                            " is above tune.steps = " + std::to_string(steps));
  if (entry.step <= trial->step)
    throw bad_input("", name_of(*trial) + ": step " + std::to_string(entry.step) + " comes after step " +
                            std::to_string(trial->step) + "; steps must grow");
  return {.trial = trial->id, .step = entry.step, .metric = entry.value};
}

TrialState read_state(const Json& entry) {
  const auto state = entry.find("state");
  if (state == entry.end() || *state == "completed") return TrialState::completed;
  if (*state == "failed") return TrialState::failed;
  throw bad_input("", "state is " + shown(*state) + "; allowed: \"completed\", \"failed\"");
}

Ending read_ending(const Json& entry, const Tuner& tuner, const std::set<TrialId>& told, std::set<TrialId>& seen) {
  check_entry(entry, "tell", {"id", "value", "state"});
  const TrialRecord& trial = known_trial(entry, "tell", tuner, seen);
  Ending ending{.trial = trial.id, .state = read_state(entry)};
  if (ending.state == TrialState::failed && entry.contains("value"))
    throw bad_input("", name_of(trial) + " is told as failed with a value; a failed trial has none");
  if (ending.state == TrialState::completed) ending.value = read_value(field(entry, "tell", "value"));
  if (trial.state == TrialState::running || trial.state == TrialState::paused) return ending;
  if (trial.state != TrialState::completed || told.count(trial.id) > 0)
    throw bad_input("", name_of(trial) + " is " + to_text(trial.state) + " already");
  ending.repeats = true;
  return ending;
}

}  // namespace

std::vector<ReportEntry> read_entries(const Json& entries) {
  check_list(entries, "report");
  std::vector<ReportEntry> list;
  for (const auto& entry : entries) list.push_back(read_entry(entry));
  return list;
}

std::vector<Report> checked_reports(std::span<const ReportEntry> entries, const Tuner& tuner, std::int64_t steps) {
  std::vector<Report> reports;
  reports.reserve(entries.size());
  for (const auto& entry : entries) reports.push_back(checked_report(entry, tuner, steps));
  std::sort(reports.begin(), reports.end(), [](const Report& a, const Report& b) { return a.trial < b.trial; });
  const auto twice = std::adjacent_find(reports.begin(), reports.end(),
                                        [](const Report& a, const Report& b) { return a.trial == b.trial; });
  if (twice != reports.end())
    throw bad_input("", "trial " + std::to_string(twice->trial.value) + " is in the list twice");
  return reports;
}

std::vector<Ending> read_endings(const Json& entries, const Tuner& tuner, const std::set<TrialId>& told) {
  check_list(entries, "tell");
  std::vector<Ending> endings;
  std::set<TrialId> seen;
  for (const auto& entry : entries) endings.push_back(read_ending(entry, tuner, told, seen));
  std::sort(endings.begin(), endings.end(), [](const Ending& a, const Ending& b) { return a.trial < b.trial; });
  return endings;
}

std::int64_t read_whole(const Json& json, const std::string& what, std::int64_t low) {
  const bool huge = json.is_number_unsigned() &&
                    json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!json.is_number_integer() || huge || json.get<std::int64_t>() < low)
    throw bad_input("", what + " must be a whole number of at least " + std::to_string(low) + ", not " + shown(json));
  return json.get<std::int64_t>();
}

std::string read_path(const Json& json, const std::string& what) {
  if (!json.is_string() || json.get_ref<const std::string&>().empty())
    throw bad_input("", what + " must be the name of a file, not " + shown(json));
  return json.get<std::string>();
}

}  // namespace finetune
