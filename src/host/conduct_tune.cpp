#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "config/config.h"
#include "config/params.h"
#include "core/content_hash.h"
#include "core/files.h"
#include "core/folders.h"
#include "host/conduct.h"
#include "host/live_report.h"
#include "host/recorded_session.h"
#include "host/results.h"
#include "host/run_facts.h"
#include "host/samples.h"
#include "host/shared_run.h"
#include "host/study_setup.h"
#include "host/trust.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

// An image as a lane of this process has it, wherever it was made.
std::shared_ptr<const TrialImage> here(const std::vector<LaneParts>& lanes, std::shared_ptr<const TrialImage> image) {
  if (dynamic_cast<const TorchImage*>(image.get()) != nullptr) return image;
  return lanes.front().trainer->image_of(image->parts());
}

// Only ever replaced whole.
void write_best(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes,
                const OnDiskFault& on_fault) {
  const fs::path run = session.config.run.out, best = run / "best", fresh = run / "best.tmp";
  remove_tree(fresh, on_fault);
  if (!result.best) {
    remove_tree(best, on_fault);
    remove_file(run / "best.yaml", on_fault);
    return;
  }
  const Trial& winner = result.trials[*result.best];
  if (winner.best_image) {
    write_weights(session, *lanes.front().store, winner, *here(lanes, winner.best_image), fresh);
    remove_tree(best, on_fault);
    rename_path(fresh, best, on_fault);
  }
  write_file_atomically(run / "best.yaml", to_yaml(best_config(session, winner)), on_fault);
}

// What is known of the run's inputs once it has ended.
void add_hashes(ReportFacts& facts, const fs::path& run, const std::vector<RunInput>& inputs) {
  facts.provenance.emplace_back("run.yaml", file_hash(run / "run.yaml"));
  for (const RunInput& input : inputs)
    facts.provenance.emplace_back(input.path.string(), input.hash.empty() ? "changed while the study ran" : input.hash);
}

void add_samples(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes,
                 ReportFacts& summary) {
  if (!result.best || session.config.train.full() || summary.interrupted) return;
  const Trial& best = result.trials[*result.best];
  if (best.best_image)
    summary.samples = sample_outputs(session, adapter_of(*lanes.front().store, best, *here(lanes, best.best_image)));
}

ReportFacts write_results(const Session& session, ReportFacts summary, const StudyResult& result,
                          std::vector<LaneParts>& lanes, const OnDiskFault& on_fault) {
  const fs::path run = session.config.run.out;
  write_best(session, result, lanes, on_fault);
  read_curves(run, summary);
  add_trust(session, result, summary);
  add_samples(session, result, lanes, summary);
  analyze(summary);
  find_results(run, summary);
  write_reports(run, summary, on_fault);
  return summary;
}

}  // namespace

ReportFacts conduct_tune(Session& session, const StudyHooks& hooks, const PastTrials& past,
                         const std::optional<SaveRow>& from) {
  const RunConfig& config = session.config;
  const std::int64_t resident = *config.tune.concurrent;
  std::map<std::string, std::string> facts{{"verb", kTuneVerb}};
  if (hooks.workers > 0) facts[kWorkersFact] = std::to_string(hooks.workers);
  RecordedSession recorded(session, hooks, std::move(facts), from);
  const auto tuner = make_tuner(config, resident, false, past);
  const std::int64_t slots = resident + 1;  // one more for the default configuration
  std::vector<LaneParts> lanes = make_lanes(session, hooks.lanes ? 1 : slots_for_moves(session, slots));
  StudyOptions options = study_options(session, config, resident);
  options.slots = slots;
  options.on_step = hooks.on_step;
  options.after = after_search(session);
  ReportFacts known = known_before(session);
  const auto rungs = [&tuner] { return tuner->looks().rungs; };
  const auto watcher = [&](std::function<double()> seconds) {
    return std::make_unique<LiveReport>(
        LiveReportOptions{.run = config.run.out, .known = known, .seconds = std::move(seconds), .rungs = rungs});
  };
  const Played played =
      recorded.play(std::move(options), *tuner, hooks.lanes ? hooks.lanes(slots) : lanes_of(lanes), {}, watcher);
  known.profile = profile_of(session, lanes, from ? from->round : 0);
  known.rungs = rungs();
  known.guarded_levels = tuner->looks().distrusted;
  known.evaluation_seconds = played.evaluation_seconds;
  add_hashes(known, config.run.out, recorded.hashed_inputs());
  ReportFacts summary = write_results(session, summarize(std::move(known), played.result, played.seconds),
                                      played.result, lanes, recorded.on_fault());
  if (!summary.interrupted) complete(config.run.out, place_of(config), recorded.on_fault());
  if (const std::string line = describe_workers(config); !line.empty()) session.say(line);
  return summary;
}

}  // namespace finetune
