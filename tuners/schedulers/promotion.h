// Successive halving by promotion: every trial pauses at its next rung, and a free slot goes to the best that may go
// on.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"
#include "tuners/tuner.h"

namespace finetune {

/// Options min_steps, reduction_factor and guard.
struct PromotionOptions {
  std::vector<std::int64_t> levels;  ///< steps: the rungs and, last, the full budget
  std::int64_t eta = 3;
  bool guard = false;  ///< nobody pauses at a level that misleads (level_guard.h)
};
PromotionOptions read_promotion_options(const OptionReader& options, const SchedulerRequest& request);
std::vector<OptionSpec> promotion_options();

/// The books of asha_promotion and pasha. Of the n trials that have reached a level, the best floor(n / eta), at least
/// 1, may go on to the next; higher levels are served first (Li et al., MLSys 2020, algorithm 2). A failed trial leaves
/// every level, so that nobody waits because of it. A trial that passes several levels in one report waits at the
/// lowest; once promoted from there it stands at the next with the same value.
class Promotion : public Scheduler {
 public:
  explicit Promotion(const PromotionOptions& options);

  void on_start(const TrialRecord& trial) override;
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override;
  void on_end(const TrialRecord& trial, std::span<const TrialRecord> all, std::vector<Action>& actions) override;
  void on_idle(std::int64_t free_slots, bool exhausted, std::span<const TrialRecord> all,
               std::vector<Action>& actions) override;
  std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const override;
  bool acts_at_milestones_only() const override { return true; }
  Looks looks() const override;
  nlohmann::json save() const override;
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override;

 protected:
  struct Level {
    std::int64_t step = 0;
    RungEntries entries;          ///< all that have reached it
    std::set<RungEntry> waiting;  ///< of these, the paused ones
  };
  const std::vector<Level>& levels() const { return levels_; }
  std::size_t top() const { return top_; }
  void set_top(std::size_t level) { top_ = level; }
  virtual void settle(std::span<const TrialRecord> all);

 private:
  bool has_reached(std::size_t level, const TrialRecord& trial) const;
  void arrive(std::size_t here, std::vector<const TrialRecord*>& moving, std::vector<Action>& actions);
  bool may_go_on(const Level& level, const RungEntry& entry) const;
  std::optional<RungEntry> take_best_waiting(Level& level) const;

  std::vector<Level> levels_;
  std::int64_t eta_;
  bool guarded_;
  LevelGuard guard_;
  std::size_t top_;                       // nobody is promoted beyond
  std::map<TrialId, std::size_t> heads_;  // the level a trial is on its way to
};

}  // namespace finetune
