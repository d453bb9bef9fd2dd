#include "study/saver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

constexpr double kEvery = 60, kAtRungs = 10;  // seconds
constexpr double kShare = 0.02;               // of the time, at most

}  // namespace

bool is_save_due(const SaveTimes& times) {
  if (times.first) return times.evaluated || times.since >= kAtRungs;
  return times.since >= std::max(times.evaluated ? kAtRungs : kEvery, times.cost / kShare);
}

Saver::Saver(RunFiles& files, SaverOptions options)
    : files_(files),
      options_(std::move(options)),
      writer_(files.run(), options_.place.value_or(files.run()), files.on_fault()),
      asked_(options_.seconds()) {}

Saver::~Saver() {
  try {
    wait();
  } catch (const std::exception&) {  // there was no memory to say what became of it
  }
}

void Saver::wait() {
  if (under_way_.valid()) under_way_.get();
}

bool Saver::is_busy() const {
  return under_way_.valid() && under_way_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

bool Saver::wants_save(std::int64_t round, bool evaluated, bool last) {
  const bool wanted = decide(round, evaluated, last);
  if (wanted) wait(), begun_ = std::chrono::steady_clock::now();
  return wanted;
}

bool Saver::decide(std::int64_t round, bool evaluated, bool last) {
  if (!is_busy()) wait();  // what was written is let go
  if (options_.every == 0) return false;
  if (last) return true;
  if (options_.every) return round % *options_.every == 0;
  if (is_busy()) return false;
  return is_save_due(
      {.since = options_.seconds() - asked_, .cost = cost_, .first = !saved_round_, .evaluated = evaluated});
}

void Saver::save(const StudyState& snapshot) {
  wait();
  files_.flush();
  asked_ = options_.seconds();
  SavedStudy study{.state = snapshot, .files = files_.covered(), .seconds = asked_};
  study.evaluation_seconds = options_.evaluation_seconds();
  auto work = [this, study = std::move(study), changed = files_.take_changed()] { write(study, changed); };
  try {
    under_way_ = std::async(options_.beside ? std::launch::async : std::launch::deferred, work);
  } catch (const std::system_error&) {  // there is no memory for a thread
    work();
  }
  if (!options_.beside) wait();
}

void Saver::say_not_saved(std::int64_t round, const std::string& why) const {
  options_.say(
      fmt::format("round {} could not be saved: {}; {}", round, why,
                  saved_round_ ? fmt::format("the save of round {} stays", *saved_round_) : "there is no save yet"));
}

void Saver::not_saved(std::int64_t round) {
  wait();
  asked_ = options_.seconds();
  say_not_saved(round, "out of memory for a copy of its trials");
}

void Saver::write(const SavedStudy& study, const std::vector<std::filesystem::path>& changed) {
  try {
    writer_.write(study, changed);
    saved_round_ = study.state.rounds;
    options_.on_saved();
  } catch (const std::exception& error) {  // memory that is over as well as a disk
    say_not_saved(study.state.rounds, error.what());
  }
  cost_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

}  // namespace finetune
