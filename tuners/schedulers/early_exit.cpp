#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/options.h"
#include "tuners/saved_state.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct EarlyExitOptions {
  std::int64_t warmup_step = 1;  // where the cohort is judged; 0 = never
  double keep = 0.25;
  bool rising = true;
  double gap = 0.1;  // 0 = off
  std::int64_t interval = 1, max_steps = 1;
};

constexpr std::int64_t kPatience = 2;  // evaluations in a row
constexpr double kRise = 1e-3;         // between two of them
constexpr double kShareOfGain =
    0.02;  // and above the best by this share of what the trial has gained: noise is not a rise
constexpr double kTrainDecay = 0.9;  // of the moving average of the training loss

// What is remembered of a trial between evaluations.
struct Trajectory {
  double first = 0, best = std::numeric_limits<double>::infinity();
  std::optional<double> train, train_before, valid_before;  // now, and at the evaluation before
  std::int64_t rises = 0, gaps = 0;                         // in a row
};

double smoothed(const std::optional<double>& average, double loss) {
  return average ? kTrainDecay * *average + (1 - kTrainDecay) * loss : loss;
}

// One more evaluation. Training loss takes part where there is one: a rise must be seen in both.
void follow(Trajectory& path, double valid, double gap) {
  if (!path.valid_before) path.first = valid;
  const bool train_rises = !path.train || !path.train_before || *path.train - *path.train_before > kRise;
  const bool valid_rises = path.valid_before && valid - *path.valid_before > kRise;
  path.rises = train_rises && valid_rises ? path.rises + 1 : 0;
  const bool overfits = path.train && *path.train > 0 && (valid - *path.train) / *path.train > gap;
  path.gaps = overfits ? path.gaps + 1 : 0;
  path.best = std::min(path.best, valid);
  path.valid_before = valid;
  path.train_before = path.train;
}

bool keeps_rising(const Trajectory& path) {
  return path.rises >= kPatience && *path.valid_before - path.best > kShareOfGain * (path.first - path.best);
}

std::int64_t kept(std::int64_t n, double share) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(share * static_cast<double>(n) + 1e-9)));
}

class EarlyExit : public Scheduler {
 public:
  explicit EarlyExit(const EarlyExitOptions& options) : options_(options) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    for (const TrialRecord* trial : reported) {
      if (trial->train_loss) {
        Trajectory& path = paths_[trial->id];
        path.train = smoothed(path.train, *trial->train_loss);
      }
    }
    const std::vector<Action> losers = judge_warm(reported);
    for (const TrialRecord* trial : reported) {
      const auto is_own = [&](const Action& stop) { return stop.trial == trial->id; };
      if (reaches_look(*trial, options_.interval) && std::none_of(losers.begin(), losers.end(), is_own))
        judge_path(*trial, paths_[trial->id], trial->values.back().second, actions);
    }
    actions.insert(actions.end(), losers.begin(), losers.end());
  }

  void on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) override {
    paths_.erase(trial.id);
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    const std::int64_t next = next_look(step, options_.interval);
    return step <= options_.warmup_step ? std::min(next, options_.warmup_step) : next;
  }

  Looks looks() const override {
    Looks looks;
    for (std::int64_t step = 0; (step = *next_milestone({}, step + 1)) < options_.max_steps;)
      looks.rungs.push_back(step);
    return looks;
  }

  nlohmann::json save() const override;
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override;

 private:
  // The cohort of those that come out of the warm-up this round.
  std::vector<Action> judge_warm(std::span<const TrialRecord* const> reported) {
    const auto arrived = options_.warmup_step > 0 ? arrivals(reported, options_.warmup_step, {}) : RungEntries{};
    for (const RungEntry& entry : arrived) enter(warm_, entry);
    std::vector<Action> losers;
    stop_losers(warm_, options_.warmup_step, arrived, kept(static_cast<std::int64_t>(warm_.size()), options_.keep),
                losers);
    return losers;
  }

  void judge_path(const TrialRecord& trial, Trajectory& path, double value, std::vector<Action>& actions) {
    follow(path, value, options_.gap);
    if (trial.step >= options_.max_steps || trial.step <= options_.warmup_step) return;
    std::string why;
    if (options_.rising && keeps_rising(path)) why = "its loss keeps rising";
    if (options_.gap > 0 && path.gaps >= kPatience) why = "validation loss is far above training loss";
    if (why.empty()) return;
    actions.push_back(
        {.trial = trial.id, .what = Action::Do::stop, .reason = "step " + std::to_string(trial.step) + ": " + why});
    paths_.erase(trial.id);
  }

  EarlyExitOptions options_;
  RungEntries warm_;
  std::map<TrialId, Trajectory> paths_;
};

nlohmann::json optional_to_json(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}
std::optional<double> optional_from_json(const nlohmann::json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

nlohmann::json EarlyExit::save() const {
  auto paths = nlohmann::json::array();
  for (const auto& [id, path] : paths_) {
    const auto best = std::isfinite(path.best) ? std::optional(path.best) : std::nullopt;
    paths.push_back({id.value, path.first, optional_to_json(best), optional_to_json(path.train),
                     optional_to_json(path.train_before), optional_to_json(path.valid_before), path.rises, path.gaps});
  }
  return {{"warm", rung_to_json(warm_)}, {"paths", paths}};
}

void EarlyExit::load(const nlohmann::json& state, std::span<const TrialRecord> trials) {
  EarlyExit loaded(options_);
  loaded.warm_ = rung_from_json(state.at("warm"), trials);
  for (const auto& json : state.at("paths")) {
    Trajectory path{.first = json.at(1).get<double>()};
    if (const auto best = optional_from_json(json.at(2))) path.best = *best;
    path.train = optional_from_json(json.at(3));
    path.train_before = optional_from_json(json.at(4));
    path.valid_before = optional_from_json(json.at(5));
    path.rises = count_from(json.at(6));
    path.gaps = count_from(json.at(7));
    loaded.paths_[trial_from(json.at(0), trials)] = path;
  }
  *this = std::move(loaded);
}

std::unique_ptr<Scheduler> make_early_exit(const OptionReader& reader, const SchedulerRequest& request) {
  EarlyExitOptions options;
  options.max_steps = request.tuner.max_steps;
  const double warmup = reader.number("warmup");
  const auto share = [&](double part) {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::ceil(part * static_cast<double>(options.max_steps) - 1e-9)));
  };
  options.warmup_step = warmup > 0 ? std::max(share(warmup), request.tuner.first_look) : 0;
  options.interval = share(0.05);
  options.keep = reader.number("keep");
  options.rising = reader.flag("rising");
  options.gap = reader.number("gap");
  if (request.tuner.direction == Direction::maximize) options.gap = 0;  // such a metric is not a loss
  return std::make_unique<EarlyExit>(options);
}

}  // namespace

SchedulerKind early_exit_kind() {
  return {
      "early_exit",
      "exits by the shape of the loss: the best after a warm-up go on, while it falls and fits",
      {number_option("warmup", "share of the steps after which only the best go on; 0 = off", 0.05, 0, 1),
       number_option("keep", "share of the trials that do", 0.25, 0, 1),
       flag_option("rising", "stops a validation loss that rises over two intervals of a twentieth of the steps", true),
       number_option("gap", "stops at two evaluations this much above the training loss, relatively; 0 = off", 0.1, 0)},
      make_early_exit};
}

}  // namespace finetune
