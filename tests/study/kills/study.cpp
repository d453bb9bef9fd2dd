// A small study in a folder, as `tune` and `resume` play theirs, on lanes that make their losses up: so small and quick
// that kills.py can kill it at each of its writes.
//
//   kill_study FOLDER METHOD LANES [beside]
//   kill_study FOLDER METHOD LANES at ADDRESS WORKER [MILLISECONDS]
//
// METHOD is SAMPLER+SCHEDULER. Begins the study, or goes on from its last save, or begins again where there is none
// yet; does nothing once it is complete. With `beside` saves are written on another thread.
// At an address it is one of those who work on a study in PostgreSQL, with steps that take so long; whoever is dead is
// found within two seconds. WORKER is a number, or `join` for the next.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/content_hash.h"
#include "core/files.h"
#include "core/folders.h"
#include "engine/study_json.h"
#include "host/live_report.h"
#include "host/recorded_study.h"
#include "host/run_paths.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 9, kTrials = 6, kSideBySide = 3, kSaveEvery = 3;

SearchSpace space_of(const std::string& sampler) {
  const bool grid = sampler == "grid";
  return {{{.name = "learning_rate",
            .low = grid ? 0.1 : 0.01,
            .high = 0.9,
            .log = !grid,
            .step = grid ? std::optional(0.1) : std::nullopt}}};
}

std::unique_ptr<Tuner> make(const std::string& sampler, const std::string& scheduler) {
  const SearchSpace space = space_of(sampler);
  TunerOptions options{.trials = kTrials, .max_steps = kSteps, .concurrent = kSideBySide, .default_min_steps = 1};
  Params given;
  if (scheduler == "pbt") given = {{"interval", std::int64_t{3}}};
  return std::make_unique<Tuner>(options, make_sampler(sampler, {{}, space, 3}),
                                 make_scheduler(scheduler, {given, space, options}));
}

// Everything that is left of a study, its best weights included.
void write_result(const fs::path& run, const StudyResult& result) {
  const StudyState state{.trials = result.trials,
                         .default_run = result.default_run,
                         .base_metric = result.base_metric,
                         .steps = result.steps,
                         .tokens = result.tokens,
                         .rounds = result.rounds};
  const auto name = [](const std::shared_ptr<const TrialImage>& image) {
    return image->parts().values.dump() + std::to_string(image->parts().arrays.front().second[1]);
  };
  nlohmann::ordered_json json = to_json(state, name);
  json["ended"] = to_text(result.ended);
  if (result.best) json["best"] = *result.best;
  for (const Confirmed& one : result.after.confirmed) json["confirmed"].push_back({one.trial.value, one.metrics});
  if (result.after.audited) json["audited"] = {*result.after.audited, *result.after.would_have_won};
  write_file_atomically(run / "result.json", json.dump(1));
}

// One of those who share a study.
struct Shared {
  std::string address;
  std::int64_t worker = 0;
  std::chrono::milliseconds step{0};
};

class SlowLane : public FakeLane {
 public:
  SlowLane(std::int64_t slots, std::chrono::milliseconds step) : FakeLane(slots), step_(step) {}
  std::vector<StepResult> step(std::span<const TrialId> ids) override {
    std::this_thread::sleep_for(step_);
    return FakeLane::step(ids);
  }

 private:
  std::chrono::milliseconds step_;
};

RecordPlace place_of(const fs::path& run, const std::optional<Shared>& shared) {
  return shared ? RecordPlace(shared->address, shared->worker, run) : RecordPlace(run);
}

int play_here(const fs::path& run, const std::string& method, std::size_t lane_count, bool beside,
              const std::optional<Shared>& shared) {
  const RecordPlace place = place_of(run, shared);
  const std::string sampler = method.substr(0, method.find('+')), scheduler = method.substr(sampler.size() + 1);
  std::optional<SaveRow> from;
  std::optional<FileLock> lock;
  if (fs::exists(run / (shared ? "saves" : "study.db"))) {
    lock = hold_folder(run.string());
    SaveRows rows(place, {}, Access::resume);
    if (is_complete(run, rows)) return 0;
    from = find_save(run, rows, {});
  }
  if (!from) {
    lock.reset();
    lock = make_out(run.string(), true);
  }
  std::vector<SlowLane> lanes(lane_count, SlowLane(6, shared ? shared->step : std::chrono::milliseconds(0)));
  std::vector<Lane*> pointers;
  for (SlowLane& lane : lanes) pointers.push_back(&lane);
  StudyOptions options = options_for(kSteps);
  options.concurrent = kSideBySide;
  options.after = {.confirm = ConfirmConfig{.top = 1, .seeds = 2}, .audit = 0.5, .judged = 2};
  StudyHooks hooks;
  hooks.say = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  DiskWait disk(hooks.say, {});
  RecordedStudy study;
  study.run = run;
  study.place = place;
  study.sharing = {.dead_after = std::chrono::milliseconds(2000), .beat_every = std::chrono::milliseconds(300)};
  study.facts = {.space = space_of(sampler), .metric = "valid_loss", .model = "none"};
  study.save_every = kSaveEvery;
  study.saves_beside = beside;
  study.from = from;
  const auto tuner = make(sampler, scheduler);
  study.watcher = [&](std::function<double()> seconds) {
    return std::make_unique<LiveReport>(
        LiveReportOptions{.run = run, .known = {.full_steps = kSteps}, .seconds = std::move(seconds), .rungs = [&] {
                            return tuner->looks().rungs;
                          }});
  };
  const Played played = play(study, std::move(options), *tuner, pointers, hooks, disk);
  write_result(run, played.result);
  complete(run, place, disk.handler());
  return 0;
}

}  // namespace
}  // namespace finetune::testing

// WORKER is a number, or `join` for the next.
static std::int64_t worker_of(char** argv) {
  if (std::string(argv[6]) != "join") return std::strtoll(argv[6], nullptr, 10);
  return finetune::join_study(argv[5], [&](std::int64_t) { return std::filesystem::absolute(argv[1]); }).worker;
}

int main(int argc, char** argv) {
  try {
    const bool is_shared = argc > 6 && std::string(argv[4]) == "at";
    std::optional<finetune::testing::Shared> shared;
    if (is_shared)
      shared = {argv[5], worker_of(argv), std::chrono::milliseconds(argc > 7 ? std::strtoll(argv[7], nullptr, 10) : 0)};
    return finetune::testing::play_here(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10), argc == 5, shared);
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_code(error.kind());
  }
}
