#include "tuners/asktell/session.h"

#include "core/error.h"
#include "core/number.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "tuners/asktell/requests.h"
#include "tuners/asktell/state_file.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kRequests{"ask", "report", "tell", "best", "rungs", "save", "load"};

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Written as text at once: as a tree of JSON values a line that stops sixty trials costs as much as deciding it.
void append_action(std::string& text, const Action& action) {
  text.append("{\"id\":").append(std::to_string(action.trial.value));
  text.append(",\"do\":\"").append(to_text(action.what)).append("\"");
  const bool copies = action.what == Action::Do::copy;
  if (copies) text.append(",\"from\":").append(std::to_string(action.from.value));
  if (copies || action.what == Action::Do::change) text.append(",\"params\":").append(text_of(to_json(action.params)));
  text.append("}");
}

std::string actions_text(const std::vector<Action>& actions) {
  std::string text = "[";
  for (const Action& action : actions) {
    if (text.size() > 1) text += ',';
    append_action(text, action);
  }
  return text += ']';
}

// `answer` is an object; the actions become its last field, if there are any.
std::string with_actions(const Json& answer, const std::vector<Action>& actions) {
  std::string text = text_of(answer);
  if (actions.empty()) return text;
  text.back() = ',';
  return text.append("\"actions\":").append(actions_text(actions)).append("}");
}

Json done() {
  return {{"ok", true}};
}

// A saved list of ids.
std::set<TrialId> ids_from(const Json& list) {
  std::set<TrialId> ids;
  for (const auto& id : list) ids.insert({read_whole(id, "id", 0)});
  return ids;
}

}  // namespace

AskTellSession::AskTellSession(AskTellSetup setup) : setup_(std::move(setup)), tuner_(setup_.make_tuner()) {}

std::string AskTellSession::answer(std::string_view line) {
  try {
    if (const auto* entries = report_line_.read(line)) return report(*entries);
    return carry_out(parse_strict_json("", line, 8));
  } catch (const std::exception& error) {
    return text_of({{"error", error.what()}});
  }
}

std::string AskTellSession::carry_out(const Json& request) {
  if (!request.is_object() || request.size() != 1)
    throw bad_input("", "a request is an object with one of the keys " + join(kRequests, ", "));
  const std::string& what = request.begin().key();
  const Json& argument = request.begin().value();
  if (what == "ask") return ask(argument);
  if (what == "report") return report(read_entries(argument));
  if (what == "tell") return tell(argument);
  if (what == "save") return save(argument), text_of(done());
  if (what == "load") return load(argument), text_of(done());
  if (what != "best" && what != "rungs")
    throw bad_input(
        "", "unknown request \"" + what + "\"; allowed: " + join(kRequests, ", ") + did_you_mean(what, kRequests));
  if (argument != 1) throw bad_input("", what + " must be 1");
  return text_of(what == "best" ? Json{{"best", best()}} : rungs());
}

std::string AskTellSession::ask(const Json& count) {
  const std::int64_t wanted = read_whole(count, "ask", 1);
  std::vector<Action> actions;
  end_when_out_of_time(actions);
  Json trials = Json::array();
  for (const auto& trial : tuner_->ask(wanted, actions))
    trials.push_back({{"id", trial.id.value}, {"params", to_json(trial.params)}});
  const bool done = trials.empty() && tuner_->exhausted();
  Json answer{{"trials", std::move(trials)}};
  if (done) answer["done"] = true;
  return with_actions(answer, actions);
}

std::string AskTellSession::report(std::span<const ReportEntry> entries) {
  const std::vector<Report> reports = checked_reports(entries, *tuner_, setup_.steps);
  std::vector<Action> actions;
  tuner_->report(reports, actions);
  end_when_out_of_time(actions);
  return "{\"actions\":" + actions_text(actions) + "}";
}

std::string AskTellSession::tell(const Json& entries) {
  const std::vector<Ending> endings = read_endings(entries, *tuner_, told_);
  std::vector<Action> actions;
  for (const Ending& ending : endings) {
    // Told as completed, it has been told; completed by its reports, it may be told once more.
    told_.insert(ending.trial);
    if (!ending.repeats) tuner_->tell(ending.trial, ending.state, ending.value, actions);
  }
  end_when_out_of_time(actions);
  return with_actions(done(), actions);
}

void AskTellSession::end_when_out_of_time(std::vector<Action>& actions) {
  if (setup_.out_of_time && setup_.out_of_time()) tuner_->end("tune.budget.seconds are over", actions);
}

Json AskTellSession::best() const {
  const TrialRecord* best = tuner_->best();
  if (best == nullptr) return nullptr;
  const double value = to_minimized(best->values.back().second, setup_.direction);  // turned back
  return {{"id", best->id.value}, {"params", to_json(best->params)}, {"value", number_to_json(value)}};
}

Json AskTellSession::rungs() const {
  const Looks looks = tuner_->looks();
  if (looks.interval) return {{"interval", *looks.interval}};
  return {{"rungs", looks.rungs}};
}

void AskTellSession::save(const Json& path) const {
  Json told = Json::array();
  for (const TrialId id : told_) told.push_back(id.value);
  write_state_file(read_path(path, "save"), {{"config", setup_.identity}, {"told", told}, {"tuner", tuner_->save()}});
}

// A fresh tuner takes the state, so that this one is as it was when the file turns out to be of no use.
void AskTellSession::load(const Json& path) {
  const std::string file = read_path(path, "load");
  const Json state = read_state_file(file);
  try {
    for (const auto& [key, value] : setup_.identity.items()) {
      if (state.at("config").value(key, Json()) != value)
        throw bad_input("", "was saved with another " + key + ": " + text_of(state.at("config").value(key, Json())) +
                                ", not " + text_of(value));
    }
    auto told = ids_from(state.at("told"));
    auto tuner = setup_.make_tuner();
    tuner->load(nlohmann::json(state.at("tuner")));
    tuner_ = std::move(tuner);
    told_ = std::move(told);
  } catch (const std::exception& error) {
    throw bad_input(file, error.what());
  }
}

}  // namespace finetune
