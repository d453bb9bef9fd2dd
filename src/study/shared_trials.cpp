#include "study/shared_trials.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPoll{500}, kAsk{50};

TrialState state_of(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || *text == "RUNNING" || *text == "WAITING") return TrialState::running;
  if (*text == "COMPLETE") return TrialState::completed;
  return *text == "PRUNED" ? TrialState::stopped : TrialState::failed;
}

std::int64_t whole(const SqlValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  return number == nullptr ? 0 : *number;
}

Params params_of(const std::string& where, const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) throw failed(where, "ft_trials is damaged");
  return params_from_json(parse_strict_json(where, *text, 8));
}

std::string metrics_name(TrialId trial) {
  return fmt::format("trials/{:06}/metrics.jsonl", trial.value);
}

}  // namespace

SharedTrials::SharedTrials(StudyRecord& record, RunFiles& files, const std::vector<Lane*>& lanes, Direction direction,
                           SharedTrialsOptions options)
    : record_(record),
      files_(files),
      lanes_(lanes),
      direction_(direction),
      options_(std::move(options)),
      heartbeat_(record.place(), options_.beat_every, options_.dead_after) {}

template <typename Work>
void SharedTrials::transact_alive(Work work) {
  transact(record_.database(), record_.on_fault(), [&] {
    record_.database().lock();
    record_.require_alive();
    work();
  });
}

void SharedTrials::come_back(StudyState& state) {
  Database& database = record_.database();
  transact(database, record_.on_fault(), [&] {
    database.lock();
    set_worker_state(database, record_.place().worker, "working");
    for (Trial& trial : state.trials) {
      const auto rows = database.run("SELECT worker FROM ft_trials WHERE trial_id = ?1", {row_id(trial.id)});
      const bool mine = !rows.empty() && whole(rows[0][0]) == record_.place().worker;
      if (mine || trial.elsewhere) continue;
      Trial left;
      left.id = trial.id;
      left.params = left.first = left.origin = trial.params;
      left.elsewhere = true;
      trial = std::move(left);
    }
  });
  for (StudyRound& round : state.in_flight) {
    const auto gone = [&](TrialId id) { return is_listed(id) && state.trial(id).elsewhere; };
    if (std::ranges::any_of(round.trials, gone))
      throw bad_input(database.place(), "others have taken up trials whose steps were under way when this was saved");
  }
  next_ = std::ssize(state.trials);
  for (const Trial& trial : state.trials) {
    if (trial.elsewhere && trial.state == TrialState::running) open_.insert(trial.id.value);
    others_ = others_ || trial.elsewhere;
  }
}

void SharedTrials::leave() {
  transact(record_.database(), record_.on_fault(),
           [&] { set_worker_state(record_.database(), record_.place().worker, "ended"); });
}

std::int64_t SharedTrials::first_open() const {
  return open_.empty() ? next_ : std::min(*open_.begin(), next_);
}

// Values by trial and step: whoever asks knows some of them.
std::vector<PeerTrial> SharedTrials::read_news() {
  Database& database = record_.database();
  const std::int64_t from = row_id({first_open()}), me = record_.place().worker;
  std::map<std::int64_t, PeerTrial> found;
  for (const SqlRow& row : database.run(
           "SELECT trials.trial_id, state, params FROM trials JOIN ft_trials USING (trial_id) WHERE trials.trial_id >= "
           "?1 AND worker <> ?2",
           {from, me})) {
    const TrialId id{whole(row[0]) - 1};
    if (id.value < next_ && !open_.contains(id.value)) continue;
    found[id.value] = {.id = id, .params = params_of(database.place(), row[2]), .state = state_of(row[1])};
  }
  if (found.empty()) return {};
  database.each(
      "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values JOIN ft_trials USING (trial_id) WHERE "
      "trial_id >= ?1 AND worker <> ?2 ORDER BY trial_id, step",
      {from, me}, [&](const SqlRow& row) {
        const auto trial = found.find(whole(row[0]) - 1);
        const auto* value = std::get_if<double>(&row[2]);
        if (trial != found.end() && value != nullptr) trial->second.values.emplace_back(whole(row[1]), *value);
      });
  std::vector<PeerTrial> news;
  for (auto& [id, trial] : found) news.push_back(std::move(trial));
  return news;
}

void SharedTrials::note(const std::vector<PeerTrial>& news) {
  for (const PeerTrial& trial : news) {
    others_ = true;
    next_ = std::max(next_, trial.id.value + 1);
    if (trial.state == TrialState::running)
      open_.insert(trial.id.value);
    else
      open_.erase(trial.id.value);
  }
}

// Numbers that have been given out meanwhile are all of others, so they follow each other.
std::vector<PeerTrial> SharedTrials::news() {
  std::vector<PeerTrial> news;
  transact(record_.database(), record_.on_fault(), [&] { news = read_news(); });
  note(news);
  return news;
}

void SharedTrials::start_trials(const std::function<std::vector<NewTrial>(const std::vector<PeerTrial>&)>& start) {
  std::vector<PeerTrial> news;
  std::vector<NewTrial> started;
  transact_alive([&] {
    news = read_news();
    started = start(news);
    for (const NewTrial& trial : started) record_.start(trial);
  });
  note(news);
  if (!started.empty()) next_ = started.back().id.value + 1;
}

std::vector<SharedTrials::Taken> SharedTrials::claim(const WorkerRow& from, std::int64_t room) {
  Database& database = record_.database();
  std::vector<Taken> taken;
  transact_alive([&] {
    taken.clear();
    if (from.state == "working" &&
        database
            .run("UPDATE ft_workers SET state = 'lost' WHERE worker = ?1 AND beats = ?2 RETURNING worker",
                 {from.worker, from.beats})
            .empty())
      return;  // it has beaten meanwhile, or somebody else has found it
    for (const SqlRow& row : database.run(
             "SELECT trials.trial_id, params FROM trials JOIN ft_trials USING (trial_id) WHERE worker = ?1 AND state = "
             "'RUNNING' AND trials.trial_id <= ?2 ORDER BY trials.trial_id LIMIT ?3",
             {from.worker, next_, room})) {
      taken.push_back({{whole(row[0]) - 1}, params_of(database.place(), row[1])});
      database.run("UPDATE ft_trials SET worker = ?2 WHERE trial_id = ?1", {whole(row[0]), record_.place().worker});
    }
  });
  for (const Taken& one : taken) open_.erase(one.id.value);
  return taken;
}

std::vector<Trial> SharedTrials::take_up(std::int64_t room) {
  std::vector<Trial> trials;
  const auto now = std::chrono::steady_clock::now();
  if (room <= 0 || open_.empty() || now - looked_ < options_.beat_every / 2) return trials;
  looked_ = now;
  std::vector<WorkerRow> all;
  transact(record_.database(), record_.on_fault(), [&] { all = workers(record_.database()); });
  std::vector<WorkerRow> gone = heartbeat_.dead();
  std::ranges::copy_if(all, std::back_inserter(gone), [](const WorkerRow& one) { return one.state != "working"; });
  gone.push_back({.worker = kNobody, .state = "lost"});
  std::erase_if(gone, [&](const WorkerRow& one) { return one.worker == record_.place().worker; });
  for (const WorkerRow& worker : gone) {
    if (room <= 0) break;
    const std::vector<Taken> taken = claim(worker, room);
    if (taken.empty()) continue;
    room -= std::ssize(taken);
    for (Trial& trial : as_saved(worker, taken)) trials.push_back(std::move(trial));
  }
  return trials;
}

// What was not saved begins again.
std::vector<Trial> SharedTrials::as_saved(const WorkerRow& from, const std::vector<Taken>& taken) {
  std::optional<SavedStudy> saved;
  std::string why = "it had none of them saved";
  try {
    SaveRows rows({record_.place().database.string(), from.worker, from.folder}, record_.on_fault());
    if (!from.folder.empty() && !fs::is_directory(from.folder))
      why = from.folder.string() + ", where its saves lie, is not on this machine";
    else if (const auto row = find_save(from.folder, rows, options_.say))
      saved = read_save_of_others(from.folder, *row, *lanes_.front());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    why = error.what();
  }
  std::vector<Trial> trials;
  std::int64_t from_begin = 0;
  for (const Taken& one : taken) {
    Trial trial;
    trial.id = one.id;
    trial.params = trial.first = trial.origin = one.params;
    if (saved && one.id.value < std::ssize(saved->state.trials) && saved->state.trial(one.id).image) {
      trial = std::move(saved->state.trial(one.id));
      copy_metrics(from, *saved, one.id);
    } else {
      ++from_begin;
    }
    trials.push_back(std::move(trial));
  }
  const std::string who = from.worker == kNobody ? "nobody" : fmt::format("worker {}, which is gone", from.worker);
  options_.say(fmt::format("takes up {} trials of {}: {} from its last save, {} from the beginning{}", taken.size(),
                           who, std::ssize(taken) - from_begin, from_begin, from_begin == 0 ? "" : " (" + why + ")"));
  return trials;
}

// Its lines up to the save, so that the trial's file is here as if it had always been trained here.
void SharedTrials::copy_metrics(const WorkerRow& from, const SavedStudy& saved, TrialId trial) {
  const std::string name = metrics_name(trial);
  const auto covered = saved.files.find(name);
  if (covered == saved.files.end()) return;
  std::string lines = read_file(from.folder / name);
  lines.resize(std::min<std::size_t>(lines.size(), covered->second.written.bytes));
  files_.create(name).add(lines);
}

// By the server's clock, which decides nothing.
void SharedTrials::say_who_is_waited_for() {
  if (std::exchange(waits_, true)) return;
  std::vector<SqlRow> rows;
  Database& database = record_.database();
  transact(database, record_.on_fault(), [&] {
    rows = database.run(
        "SELECT worker, count(*), CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP - max(heartbeat)) AS DOUBLE PRECISION) "
        "FROM "
        "trials JOIN ft_trials USING (trial_id) LEFT JOIN trial_heartbeats USING (trial_id) WHERE state = 'RUNNING' "
        "AND "
        "worker <> ?1 AND worker <> ?2 GROUP BY worker ORDER BY worker",
        {record_.place().worker, kNobody});
  });
  const auto dead_after = std::chrono::duration<double>(options_.dead_after).count();
  for (const SqlRow& row : rows) {
    const std::int64_t trials = whole(row[1]);
    const auto* age = std::get_if<double>(&row[2]);
    options_.say(fmt::format(
        "waits for {} of worker {}, which gave {}; after {:.0f} s without one it is taken for dead",
        trials == 1 ? "1 trial" : fmt::format("{} trials", trials), whole(row[0]),
        age != nullptr ? fmt::format("its last sign of life {:.0f} s ago", std::max(0.0, *age)) : "no sign of life yet",
        dead_after));
  }
}

bool SharedTrials::wait(const std::function<bool()>& stop) {
  if (open_.empty()) {
    note(news());
    if (open_.empty()) return false;
  }
  say_who_is_waited_for();
  for (auto waited = kAsk; waited < kPoll; waited += kAsk) {
    if (stop && stop()) return true;
    std::this_thread::sleep_for(kAsk);
  }
  return true;
}

bool SharedTrials::best_is_elsewhere(const Trial* best) {
  if (!others_) return false;
  std::vector<SqlRow> rows;
  Database& database = record_.database();
  transact(database, record_.on_fault(), [&] {
    rows = database.run(
        "SELECT value, trial_id FROM trials JOIN trial_values USING (trial_id) JOIN ft_trials USING (trial_id) WHERE "
        "state = 'COMPLETE' AND worker <> ?1",
        {record_.place().worker});
  });
  const bool complete = best != nullptr && best->state == TrialState::completed;
  return std::ranges::any_of(rows, [&](const SqlRow& row) {
    const auto* value = std::get_if<double>(&row[0]);
    if (value == nullptr || !complete) return value != nullptr;
    const double theirs = to_minimized(*value, direction_), ours = to_minimized(*best->best_metric, direction_);
    return theirs < ours || (theirs == ours && whole(row[1]) < row_id(best->id));
  });
}

}  // namespace finetune
