#include <algorithm>
#include <map>

#include "core/number.h"
#include "core/text.h"
#include "tuners/options.h"
#include "tuners/schedulers/schedulers.h"
#include "tuners/space/checked_value.h"

namespace finetune {
namespace {

using Schedule = std::map<std::int64_t, Params>;

// What is new to this trial: it may have the value already, or not the parameter at all.
Params differing(const Params& wanted, const Params& present) {
  Params params;
  for (const auto& [name, value] : wanted) {
    const Value* now = find_param(present, name);
    if (now != nullptr && *now != value) params.emplace_back(name, value);
  }
  return params;
}

class Replay : public Scheduler {
 public:
  Replay(Schedule schedule, std::int64_t max_steps) : schedule_(std::move(schedule)), max_steps_(max_steps) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    for (const TrialRecord* trial : reported) {
      if (trial->step >= max_steps_) continue;
      Params params = differing(reached_by(*trial), trial->params);
      if (params.empty()) continue;
      actions.push_back({.trial = trial->id,
                         .what = Action::Do::change,
                         .params = std::move(params),
                         .reason = "step " + std::to_string(trial->step) + ": replayed"});
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t) const override { return std::nullopt; }
  Looks looks() const override {
    Looks looks;
    for (const auto& [step, params] : schedule_) looks.rungs.push_back(step);
    return looks;
  }

 private:
  // What the steps since the report before ask for; of a parameter that changes twice the last value.
  Params reached_by(const TrialRecord& trial) const {
    Params wanted;
    const auto end = schedule_.upper_bound(trial.step);
    for (auto entry = schedule_.upper_bound(trial.step_before); entry != end; ++entry) {
      for (const auto& [name, value] : entry->second) set_param(wanted, name, value);
    }
    return wanted;
  }

  Schedule schedule_;
  std::int64_t max_steps_;
};

// A change would have to switch parameters on and off, which an action cannot say.
bool others_depend_on(const SearchSpace& space, const std::string& name) {
  return std::any_of(space.parameters.begin(), space.parameters.end(), [&](const ParameterSpec& spec) {
    return std::any_of(spec.when.begin(), spec.when.end(), [&](const auto& when) { return when.first == name; });
  });
}

const ParameterSpec& changeable(const OptionReader& reader, const SchedulerRequest& request, const std::string& name) {
  const ParameterSpec* spec = request.space.find(name);
  const auto known = names_of(request.space);
  if (spec == nullptr)
    reader.refuse("schedule", "changes " + name + ", which is not searched; searched: " + join(known, ", ") +
                                  did_you_mean(name, known));
  if (request.tuner.may_change && !request.tuner.may_change(name))
    reader.refuse("schedule", "changes " + name + ", which cannot change during training");
  if (others_depend_on(request.space, name))
    reader.refuse("schedule", "changes " + name + ", on which other parameters depend; that cannot be replayed");
  return *spec;
}

std::int64_t step_of(const OptionReader& reader, const std::string& text) {
  const auto step = number_from_text(text);
  if (!step || !(*step >= 1 && *step < 1e15) || *step != static_cast<double>(static_cast<std::int64_t>(*step)))
    reader.refuse("schedule", "entries begin with a step of at least 1, not " + (text.empty() ? "nothing" : text));
  return static_cast<std::int64_t>(*step);
}

Schedule read_schedule(const OptionReader& reader, const SchedulerRequest& request) {
  Schedule schedule;
  for (const std::string& entry : reader.list("schedule")) {
    std::vector<std::string> words = split(entry, ' ');
    const std::int64_t step = step_of(reader, words.front());
    if (!schedule.empty() && step <= schedule.rbegin()->first)
      reader.refuse("schedule", "must be in order of its steps: " + std::to_string(step) + " comes after " +
                                    std::to_string(schedule.rbegin()->first));
    Params& params = schedule[step];
    for (auto word = words.begin() + 1; word != words.end(); ++word) {
      const auto equals = word->find('=');
      if (equals == std::string::npos) reader.refuse("schedule", "has " + *word + " where NAME=VALUE is expected");
      const std::string name = word->substr(0, equals);
      const std::string key = "tune.scheduler.schedule, step " + std::to_string(step) + ": " + name;
      set_param(params, name, checked_text(key, changeable(reader, request, name), word->substr(equals + 1)));
    }
  }
  if (schedule.empty())
    reader.refuse("schedule",
                  "is missing: [\"20 train.learning_rate=1e-3\", ...], or run: DIR of a finished population");
  return schedule;
}

std::unique_ptr<Scheduler> make_replay(const OptionReader& reader, const SchedulerRequest& request) {
  return std::make_unique<Replay>(read_schedule(reader, request), request.tuner.max_steps);
}

}  // namespace

SchedulerKind replay_kind() {
  return {.name = "replay",
          .what = "changes parameters at the steps of a schedule that a population found; stops nobody",
          .options = {list_option("schedule", "\"STEP NAME=VALUE ...\" a step, ascending; must be given")},
          .make = make_replay,
          .stops_none = true,
          .one_process = true};
}

}  // namespace finetune
