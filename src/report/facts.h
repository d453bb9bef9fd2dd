// Everything that a report says of a study, as plain values: what the host knows of it (host/results.h), its curves as
// they lie in its folder (study/run_folder.h), and what is computed from both (analyze, below). JSON, Markdown, HTML
// and the terminal's lines are written from this alone. Torch-free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/metric.h"
#include "core/trial.h"
#include "core/value.h"
#include "report/profile.h"

namespace finetune {

struct CurvePoint {
  std::int64_t step = 0;
  double value = 0;
};

/// A searched parameter: a range with both ends included, or choices.
struct ParameterFacts {
  std::string name;
  std::vector<Value> choices;  ///< empty: a range
  bool ordinal = false;        ///< the choices are in their order
  double low = 0, high = 0;
  bool log = false, integer = false;
  std::optional<double> step;
  bool conditional = false;  ///< some trials do without it
};

/// Something that happened to a trial besides plain steps.
struct LineageFact {
  std::int64_t step = 0;                ///< after this many steps of the trial
  std::optional<std::int64_t> copy_of;  ///< the trial whose weights it took; nothing: only parameters changed
  Params params;                        ///< that it had from there on: all after a copy, else those that changed
};

/// Parameters from the step after `step` on.
struct ScheduleFact {
  std::int64_t step = 0;
  Params params;
};

/// Rounds in which a trial stepped without a break, 1-based, both ends included.
struct RoundFacts {
  std::int64_t first = 0, last = 0;
};

/// A metric that is logged besides the tuned one (run.metrics).
struct FurtherFact {
  std::string metric;
  double value = 0;
  std::int64_t step = 0;  ///< of the trial's metric, or the last at which it was measured
};

struct TrialFacts {
  std::int64_t id = 0;
  Params params;  ///< as they are at its end
  std::string state, reason;
  std::optional<double> metric;                 ///< best evaluation
  std::int64_t step = 0;                        ///< of the metric
  std::int64_t steps = 0;                       ///< steps trained
  std::vector<CurvePoint> train_loss, metrics;  ///< from metrics.jsonl: each step, and study.metric where evaluated
  std::vector<CurvePoint> compared;             ///< from there too: study.rung_metric, where that is another
  std::vector<FurtherFact> further;             ///< of study.further, those that were measured; from metrics.jsonl
  std::vector<std::pair<std::string, double>> part_losses;  ///< likewise, at `step`: of each named part of data.valid
  std::vector<LineageFact> lineage;
  Params first;                    ///< as it began, before its lineage; empty without one
  std::vector<RoundFacts> rounds;  ///< ascending
};

/// What of the metric is a parameter's, among the trials that have it (report/parameters.h).
struct ImportanceFact {
  std::string parameter;
  double share = 0;        ///< fANOVA: of the variance, by the parameter alone
  double ped_anova = 0;    ///< PED-ANOVA, not normalised: what it took to be among the best tenth
  std::size_t trials = 0;  ///< that were compared
};

struct InteractionFact {
  std::string first, second;
  double share = 0;  ///< fANOVA: of the variance, by both together beyond what each does alone
};

/// Spearman's rank correlation of the trials' metrics at two steps.
struct CorrelationFact {
  std::int64_t early = 0, late = 0;
  std::size_t trials = 0;  ///< that were evaluated at both
  double spearman = 0;
};

/// A configuration trained again with other seeds (tune.confirm).
struct ConfirmedFact {
  std::int64_t trial = 0;
  std::vector<double> metrics;           ///< by seed, the trial's own not among them: it was chosen for that one
  double mean = 0;                       ///< of `metrics`
  std::optional<double> standard_error;  ///< of the mean; nothing for a single seed
};

/// Metric of the winner, the default configuration and the untouched base on data that no choice has seen (data.test).
struct TestFact {
  std::optional<double> best, default_run, base;  ///< nothing where it failed
};

/// Stopped trials that ran on to the end all the same (tune.audit).
struct AuditFact {
  std::int64_t trials = 0, would_have_won = 0;
};

/// A step on the path from the default configuration to the best, one parameter changed at a time (tune.ablation).
struct AblationFact {
  std::string parameter;  ///< that changed; "" of the first, the default configuration
  Value value;
  std::optional<double> metric;  ///< nothing where it failed
};

/// What the base and the best answer to a prompt of the validation data.
struct SampleFact {
  std::string prompt, reference, base, best;
};

/// Figures of tune.metric by validation example (core/metric.h), in one order for all.
struct JudgedFact {
  std::optional<std::int64_t> trial;  ///< nothing: the default configuration
  std::vector<ExampleFigure> examples;
};

/// How much better the winner is than another, over validation examples drawn again and again (report/bootstrap.h).
struct ComparisonFact {
  std::optional<std::int64_t> other;  ///< a trial; nothing: the default configuration
  double difference = 0;              ///< how much better, above 0 whichever way the metric goes
  double low = 0, high = 0;           ///< 95 % interval of it
  std::int64_t examples = 0;          ///< that both were judged by
};

/// Something about the study that its user should know, and why it is said.
struct HintFact {
  std::string text, evidence;
};

/// What the folder `best` of a run holds.
enum class BestWeights { none, adapter, model };

struct ReportFacts {
  std::string model, train_data, valid_data, device, version;
  std::vector<std::string> train_files, valid_files;  ///< as they were given; no valid_files: held out of train_files
  std::string sampler, scheduler, metric = "valid_loss";
  std::vector<std::string> further;  ///< metrics that are logged besides
  Direction direction = Direction::minimize;
  bool full = false;                   ///< full fine-tuning, not LoRA
  std::string objective = "sft";       ///< train.objective
  std::int64_t full_steps = 0;         ///< budget of one trial
  std::vector<std::int64_t> rungs;     ///< steps at which the scheduler compares trials
  std::vector<ParameterFacts> search;  ///< in the configuration's order
  std::vector<TrialFacts> trials;      ///< by id
  std::optional<std::size_t> best;     ///< index into trials
  /// The hyperparameters that made the best weights, from step 0 on, through copies; one entry: nothing changed.
  std::vector<ScheduleFact> best_schedule;
  std::optional<double> base_metric;
  std::optional<double> default_metric;
  std::string default_failure;  ///< "" unless the default configuration failed
  Params default_params;        ///< the searched keys at their defaults
  double seconds = 0;
  std::int64_t steps = 0, tokens = 0, saved_steps = 0;
  bool interrupted = false;
  bool running = false;      ///< the study goes on: the page is written again
  std::string stopped_by;    ///< "" or the budget that ended it
  std::string confirmation;  ///< "confirmed with 2 more seeds", "not confirmed: ..."; "" where nothing is to be said
  std::vector<ConfirmedFact> confirmed;  ///< the best mean first
  std::vector<std::string> test_files;
  std::optional<TestFact> test;
  std::optional<AuditFact> audit;
  std::vector<AblationFact> ablation;
  std::vector<SampleFact> samples;
  std::string look_failure;                  ///< why the best could not be measured at the end; "": they were
  std::vector<JudgedFact> judged;            ///< the winner first, then the next best, then the default configuration
  std::optional<double> evaluation_seconds;  ///< of `seconds`, in evaluations
  std::optional<ProfileFacts> profile;       ///< where the time went, with run.profile
  std::vector<std::int64_t> guarded_levels;  ///< rungs where nobody was stopped, since later values contradict them
  std::string rung_metric;                   ///< what rungs compare; "" = metric
  std::optional<CorrelationFact> rung_agreement;  ///< of rung_metric at a rung and metric at the end
  /// What would be needed to do it again: versions, hashes, seeds, each by name.
  std::vector<std::pair<std::string, std::string>> provenance;

  // By analyze:
  std::int64_t compared_step = 0;             ///< where trials are compared; 0: too few can be
  std::vector<ImportanceFact> importance;     ///< largest share first
  std::vector<InteractionFact> interactions;  ///< largest first
  std::vector<CorrelationFact> correlations;  ///< by early step, then late
  std::int64_t judged_examples = 0;           ///< how many each of `judged` has
  std::vector<ComparisonFact> comparisons;    ///< of judged.front() with each other of `judged`
  std::vector<HintFact> hints;

  // What there is on disk, so that nothing is named which is not there: find_results (study/run_folder.h).
  std::string folder;
  BestWeights best_weights = BestWeights::none;
  bool has_best_yaml = false;
  bool can_resume = false;  ///< there is a save to go on from
};

/// True when there were trials and none did anything but fail.
bool all_failed(const ReportFacts& study);

/// The metric compares a model with the untouched base, which has 0 then.
bool base_is_reference(const ReportFacts& study);

/// Fills in what is computed from the curves (report/parameters.h, report/correlation.h), from the examples' figures
/// (report/bootstrap.h; without any, comparisons stay as they are) and from all of it (report/hints.h).
void analyze(ReportFacts& study);

nlohmann::ordered_json report_json(const ReportFacts& study);
/// Inverse of report_json, without curves. Throws Error (bad_input) naming `where`.
ReportFacts facts_from_json(const std::string& where, const nlohmann::ordered_json& json);

std::string report_markdown(const ReportFacts& study);
/// One self-contained page (report/html/page.cpp), or one of its sections as a page of its own: winner, curves, slices,
/// ... Throws Error (bad_input) for a section that there is not, or of which this study has nothing to say.
std::string report_html(const ReportFacts& study, const std::string& section = "");
/// For a terminal of so many columns (0: no limit): where the time went as a table, where that was measured, and a few
/// lines: what is best, where it is, what to do next.
std::string report_text(const ReportFacts& study, std::size_t width = 0);

/// Commands that make sense now, each with what it does, that work as they are; calls in Python where they need rows
/// that a program held. Only files that exist are named.
struct NextStep {
  std::string command, what;
};
std::vector<NextStep> next_steps(const ReportFacts& study);

/// What is to be said in words: on the winner, by how much it beats base and default, or that it does not; and on
/// trials that failed (report/failures.h).
std::string verdict(const ReportFacts& study);

}  // namespace finetune
