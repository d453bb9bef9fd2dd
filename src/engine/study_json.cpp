#include "engine/study_json.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/number.h"
#include "core/value.h"
#include "engine/result_json.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json optional_json(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, double>)
    return number_to_json(*value);
  else
    return *value;
}

std::optional<double> optional_number(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(number_from_json(json));
}

std::size_t index_from(const Json& json) {
  const std::int64_t index = whole_from(json);
  if (index < 0) throw bad_input("", "an index is negative");
  return static_cast<std::size_t>(index);
}

// An enumeration by its text.
template <typename Enum>
Enum enum_from(const Json& json, std::initializer_list<Enum> all) {
  const auto text = json.get<std::string>();
  for (const Enum value : all) {
    if (text == to_text(value)) return value;
  }
  throw bad_input("", "unknown word " + text);
}

TrialState state_from(const Json& json) {
  return enum_from(
      json, {TrialState::running, TrialState::paused, TrialState::completed, TrialState::stopped, TrialState::failed});
}

Action::Do do_from(const Json& json) {
  using Do = Action::Do;
  return enum_from(json, {Do::stop, Do::pause, Do::resume, Do::change, Do::copy});
}

template <typename List, typename To>
Json list_json(const List& list, To&& to) {
  Json json = Json::array();
  for (const auto& entry : list) json.push_back(to(entry));
  return json;
}

// (Members are set one by one below: g++ 12 destroys what was never made when one of a braced list throws.)
template <typename From>
auto list_from(const Json& json, From&& from) {
  std::vector<decltype(from(json))> list;
  if (!json.is_array()) throw bad_input("", "a list is missing");
  for (const auto& entry : json) list.push_back(from(entry));
  return list;
}

Json change_json(const HyperparameterChange& change) {
  return {{"step", change.step}, {"params", to_json(change.params)}};
}
HyperparameterChange change_from(const Json& json) {
  return {whole_from(json.at("step")), params_from_json(json.at("params"))};
}

Json span_json(const RoundSpan& span) {
  return Json::array({span.first, span.last});
}
RoundSpan span_from(const Json& json) {
  return {whole_from(json.at(0)), whole_from(json.at(1))};
}

Json event_json(const LineageEvent& event) {
  return {
      {"step", event.step}, {"do", to_text(event.what)}, {"from", event.from.value}, {"params", to_json(event.params)}};
}
LineageEvent event_from(const Json& json) {
  LineageEvent event;
  event.step = whole_from(json.at("step"));
  event.what = do_from(json.at("do"));
  event.from = {whole_from(json.at("from"))};
  event.params = params_from_json(json.at("params"));
  return event;
}

Json action_json(const Action& action) {
  return {{"trial", action.trial.value},
          {"do", to_text(action.what)},
          {"params", to_json(action.params)},
          {"from", action.from.value},
          {"reason", action.reason}};
}
Action action_from(const Json& json) {
  Action action;
  action.trial = {whole_from(json.at("trial"))};
  action.what = do_from(json.at("do"));
  action.params = params_from_json(json.at("params"));
  action.from = {whole_from(json.at("from"))};
  action.reason = json.at("reason").get<std::string>();
  return action;
}

Json round_json(const StudyRound& round) {
  return {{"number", round.number}, {"trials", list_json(round.trials, [](TrialId id) { return id.value; })},
          {"lanes", round.lanes},   {"steps", list_json(round.steps, step_json)},
          {"tokens", round.tokens}, {"metrics", list_json(round.metrics, optional_json<double>)}};
}
StudyRound round_from(const Json& json, std::size_t lanes) {
  StudyRound round;
  round.number = whole_from(json.at("number"));
  round.trials = list_from(json.at("trials"), [](const Json& id) { return TrialId{whole_from(id)}; });
  round.lanes = list_from(json.at("lanes"), index_from);
  round.steps = list_from(json.at("steps"), step_from);
  round.tokens = list_from(json.at("tokens"), whole_from);
  round.metrics = list_from(json.at("metrics"), optional_number);
  const std::size_t count = round.trials.size();
  round.early = round.tokens.empty() && count > 0;
  round.collected = !round.early;
  const std::size_t booked = round.early ? 0 : count;
  if (round.lanes.size() != booked || round.steps.size() != count || round.tokens.size() != booked ||
      (!round.metrics.empty() && round.metrics.size() != booked))
    throw bad_input("", "a round under way has lists of different lengths");
  for (std::size_t i = 0; i < count; ++i) round.steps[i].trial = round.trials[i];
  if (std::ranges::any_of(round.lanes, [&](std::size_t lane) { return lane >= lanes; }))
    throw bad_input("", "a round under way has a lane that is not there");
  return round;
}

Json trial_json(const Trial& trial, const NameImage& name) {
  const auto image = [&](const auto& kept) { return kept ? Json(name(kept)) : Json(); };
  Json json = {{"id", trial.id.value},
               {"params", to_json(trial.params)},
               {"state", to_text(trial.state)},
               {"reason", trial.reason},
               {"step", trial.step},
               {"tokens", trial.tokens},
               {"train_loss", number_to_json(trial.train_loss)},
               {"metric", optional_json(trial.metric)},
               {"evaluation", evaluation_json(trial.evaluation)},
               {"metric_step", trial.metric_step},
               {"best_metric", optional_json(trial.best_metric)},
               {"best_step", trial.best_step},
               {"lineage", list_json(trial.lineage, event_json)},
               {"rounds", list_json(trial.rounds, span_json)},
               {"first", to_json(trial.first)},
               {"origin", to_json(trial.origin)},
               {"schedule", list_json(trial.schedule, change_json)},
               {"best_origin", to_json(trial.best_origin)},
               {"best_schedule", list_json(trial.best_schedule, change_json)},
               {"lane", trial.lane},
               {"resident", trial.resident},
               {"submitted", trial.submitted},
               {"awaits_answer", trial.awaits_answer},
               {"image", image(trial.image)},
               {"best_image", image(trial.best_image)},
               {"last_image", image(trial.last_image)},
               {"audit_image", image(trial.audit_image)}};
  if (trial.elsewhere) json["elsewhere"] = true;
  return json;
}

// Who runs has a slot, and whoever runs or is paused has weights to go on with.
void require_whole(const Trial& trial, std::size_t lanes) {
  const bool goes_on = trial.state == TrialState::running || trial.state == TrialState::paused;
  if (trial.lane >= lanes) throw bad_input("", "its lane is not there");
  if (goes_on != (trial.image != nullptr)) throw bad_input("", "its weights and its state do not go together");
  if (trial.resident != (trial.state == TrialState::running))
    throw bad_input("", "its slot and its state do not go together");
}

Trial trial_from(const Json& json, TrialId id, std::size_t lanes, const FindImage& find, bool started = true) {
  const auto image = [&](const char* key) -> std::shared_ptr<const TrialImage> {
    const Json& name = json.at(key);
    return name.is_null() ? nullptr : find(name.get<std::string>());
  };
  if (json.at("id") != id.value) throw bad_input("", "is out of order");
  Trial trial;
  trial.id = id;
  trial.params = params_from_json(json.at("params"));
  trial.state = state_from(json.at("state"));
  trial.reason = json.at("reason").get<std::string>();
  trial.step = whole_from(json.at("step"));
  trial.tokens = whole_from(json.at("tokens"));
  trial.train_loss = number_from_json(json.at("train_loss"));
  trial.metric = optional_number(json.at("metric"));
  trial.evaluation = evaluation_from(json.at("evaluation"), id);
  trial.metric_step = whole_from(json.at("metric_step"));
  trial.best_metric = optional_number(json.at("best_metric"));
  trial.best_step = whole_from(json.at("best_step"));
  trial.lineage = list_from(json.at("lineage"), event_from);
  trial.rounds = list_from(json.at("rounds"), span_from);
  trial.first = params_from_json(json.at("first"));
  trial.origin = params_from_json(json.at("origin"));
  trial.schedule = list_from(json.at("schedule"), change_from);
  trial.best_origin = params_from_json(json.at("best_origin"));
  trial.best_schedule = list_from(json.at("best_schedule"), change_from);
  trial.lane = index_from(json.at("lane"));
  trial.resident = json.at("resident").get<bool>();
  trial.submitted = whole_from(json.at("submitted"));
  trial.awaits_answer = json.at("awaits_answer").get<bool>();
  trial.image = image("image");
  trial.best_image = image("best_image");
  trial.audit_image = image("audit_image");
  trial.last_image = image("last_image");
  trial.elsewhere = json.value("elsewhere", false);
  if (started && !trial.elsewhere) require_whole(trial, lanes);
  return trial;
}

const char* to_text(ExtraRun::Kind kind) {
  switch (kind) {
    case ExtraRun::Kind::confirm:
      return "confirm";
    case ExtraRun::Kind::audit:
      return "audit";
    case ExtraRun::Kind::ablation:
      return "ablation";
  }
  return "";
}

Json extra_json(const ExtraRun& run, const NameImage& name) {
  return {{"kind", to_text(run.kind)},
          {"of", run.of ? Json(run.of->value) : Json()},
          {"seed_added", run.seed_added},
          {"parameter", run.parameter},
          {"stop_at", optional_json(run.stop_at)},
          {"changes", list_json(run.changes, change_json)},
          {"started", run.started},
          {"trial", trial_json(run.trial, name)}};
}

ExtraRun extra_from(const Json& json, TrialId id, const StudyState& state, std::size_t lanes, const FindImage& find) {
  ExtraRun run;
  const auto text = json.at("kind").get<std::string>();
  for (const auto kind : {ExtraRun::Kind::confirm, ExtraRun::Kind::audit, ExtraRun::Kind::ablation}) {
    if (text == to_text(kind)) run.kind = kind;
  }
  if (text != to_text(run.kind)) throw bad_input("", "unknown word " + text);
  if (!json.at("of").is_null()) run.of = TrialId{whole_from(json.at("of"))};
  const bool is_there = run.of && is_listed(*run.of) && run.of->value < std::ssize(state.trials);
  if (run.kind != ExtraRun::Kind::ablation && !is_there) throw bad_input("", "names a trial that is not there");
  run.seed_added = whole_from(json.at("seed_added"));
  run.parameter = json.at("parameter").get<std::string>();
  if (!json.at("stop_at").is_null()) run.stop_at = whole_from(json.at("stop_at"));
  if (run.stop_at && *run.stop_at < 1) throw bad_input("", "it stops before its first step");
  run.changes = list_from(json.at("changes"), change_from);
  run.started = json.at("started").get<bool>();
  run.trial = trial_from(json.at("trial"), id, lanes, find, run.started);
  const bool goes_on = run.kind == ExtraRun::Kind::audit && !run.started;
  if (goes_on != (run.trial.image != nullptr) && !run.started) throw bad_input("", "has no weights to go on with");
  return run;
}

// What nlohmann throws for a missing key or a value of another kind becomes one of our errors.
template <typename Read>
decltype(auto) reading(const std::string& what, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw bad_input("", what + ": " + (error.where().empty() ? "" : error.where() + ": ") + error.message());
  } catch (const nlohmann::json::exception&) {
    throw bad_input("", what + " is damaged");
  }
}

// A round names trials that are there.
void require_known(const StudyState& state) {
  const auto known = [&](TrialId id) {
    if (is_extra(id)) return extra_id(state.extras.size()) < id;
    return id == kDefaultRun ? state.default_run.has_value() : id.value < std::ssize(state.trials);
  };
  bool all = true;
  for (const StudyRound& round : state.in_flight) {
    for (const TrialId id : round.trials) all = all && known(id);
  }
  for (const Action& action : state.waiting) all = all && is_listed(action.trial) && known(action.trial);
  if (!all) throw bad_input("", "names a trial that is not there");
}

// What a lane has done of trials beyond the rounds that were judged.
void require_early_steps(const StudyState& state) {
  std::map<TrialId, std::int64_t> early;
  std::int64_t number = state.rounds;
  for (const StudyRound& round : state.in_flight) {
    if (++number != round.number) throw bad_input("", "rounds under way are not in a row");
    for (std::size_t i = 0; round.early && i < round.trials.size(); ++i) ++early[round.trials[i]];
  }
  const auto require = [&](const Trial& trial) {
    if (trial.resident && trial.submitted != trial.step + early[trial.id])
      throw bad_input("", "steps under way are missing");
  };
  if (state.default_run) require(*state.default_run);
  std::ranges::for_each(state.trials, require);
  for (const ExtraRun& run : state.extras) require(run.trial);
}

}  // namespace

nlohmann::ordered_json to_json(const StudyState& state, const NameImage& name) {
  const auto trial = [&](const Trial& one) { return trial_json(one, name); };
  return {{"trials", list_json(state.trials, trial)},
          {"default_run", state.default_run ? trial(*state.default_run) : Json()},
          {"base_metric", optional_json(state.base_metric)},
          {"steps", state.steps},
          {"tokens", state.tokens},
          {"rounds", state.rounds},
          {"judged_tokens", state.judged_tokens},
          {"waiting", list_json(state.waiting, action_json)},
          {"in_flight", list_json(state.in_flight, round_json)},
          {"search_ended", state.search_ended ? Json(to_text(*state.search_ended)) : Json()},
          {"search_rounds", state.search_rounds},
          {"extras", list_json(state.extras, [&](const ExtraRun& run) { return extra_json(run, name); })},
          {"tuner", state.tuner},
          {"callback", state.callback},
          {"tokens_per_pass", state.tokens_per_pass}};
}

StudyState study_from_json(const nlohmann::ordered_json& json, std::size_t lanes, const FindImage& find) {
  StudyState state;
  const Json& trials = reading("trials", [&]() -> const Json& { return json.at("trials"); });
  for (const Json& trial : trials) {
    const TrialId id{std::ssize(state.trials)};
    state.trials.push_back(
        reading("trial " + std::to_string(id.value), [&] { return trial_from(trial, id, lanes, find); }));
  }
  reading("the study", [&] {
    if (!json.at("default_run").is_null())
      state.default_run = trial_from(json.at("default_run"), kDefaultRun, lanes, find);
    state.base_metric = optional_number(json.at("base_metric"));
    state.steps = whole_from(json.at("steps"));
    state.tokens = whole_from(json.at("tokens"));
    state.rounds = whole_from(json.at("rounds"));
    state.judged_tokens = whole_from(json.at("judged_tokens"));
    state.waiting = list_from(json.at("waiting"), action_from);
    const auto read_round = [&](const Json& round) { return round_from(round, lanes); };
    for (StudyRound& round : list_from(json.at("in_flight"), read_round)) state.in_flight.push_back(std::move(round));
    if (const Json& ended = json.at("search_ended"); !ended.is_null()) {
      state.search_ended = end_reason_from(ended.get<std::string>());
      if (!state.search_ended) throw bad_input("", "unknown word " + ended.get<std::string>());
    }
    state.search_rounds = whole_from(json.at("search_rounds"));
    for (const Json& run : json.at("extras"))
      state.extras.push_back(extra_from(run, extra_id(state.extras.size()), state, lanes, find));
    if (!state.extras.empty() && !state.search_ended) throw bad_input("", "has runs after a search that goes on");
    state.tuner = json.at("tuner");
    state.callback = json.at("callback");
    state.tokens_per_pass = list_from(json.at("tokens_per_pass"), whole_from);
    if (state.tokens_per_pass.size() != lanes) throw bad_input("", "has another number of lanes");
    require_known(state);
    require_early_steps(state);
    return 0;
  });
  return state;
}

}  // namespace finetune
