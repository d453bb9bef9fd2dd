// A small study in a folder, as `tune` and `resume` play theirs, on lanes that make their losses up: so small and quick
// that kills.py can kill it at each of its writes.
//
//   kill_study FOLDER METHOD LANES [beside]
//
// METHOD is SAMPLER+SCHEDULER. Begins the study, or goes on from its last save, or begins again where there is none
// yet; does nothing once it is complete. With `beside` saves are written on another thread.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

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

int play_here(const fs::path& run, const std::string& method, std::size_t lane_count, bool beside) {
  const std::string sampler = method.substr(0, method.find('+')), scheduler = method.substr(sampler.size() + 1);
  std::optional<SaveRow> from;
  std::optional<FileLock> lock;
  if (fs::exists(run / "study.db")) {
    lock = hold_folder(run.string());
    SaveRows rows(run, {}, Access::resume);
    if (is_complete(run, rows)) return 0;
    from = find_save(run, rows, {});
  }
  if (!from) {
    lock.reset();
    lock = make_out(run.string());
  }
  std::vector<FakeLane> lanes(lane_count, FakeLane(6));
  std::vector<Lane*> pointers;
  for (FakeLane& lane : lanes) pointers.push_back(&lane);
  StudyOptions options = options_for(kSteps);
  options.concurrent = kSideBySide;
  options.after = {.confirm = ConfirmConfig{.top = 1, .seeds = 2}, .audit = 0.5, .judged = 2};
  StudyHooks hooks;
  hooks.say = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  DiskWait disk(hooks.say, {});
  RecordedStudy study;
  study.run = run;
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
  complete(run, disk.handler());
  return 0;
}

}  // namespace
}  // namespace finetune::testing

int main(int argc, char** argv) {
  try {
    return finetune::testing::play_here(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10), argc > 4);
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_code(error.kind());
  }
}
