// A study's hooks whose other end is Python: lines, progress, the callback of each round, Ctrl-C.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "config/run_config.h"
#include "host/hooks.h"
#include "python/bindings.h"
#include "python/reports.h"

namespace finetune::python {

/// What Python hands in; None = nothing. put(text) writes, bar(share, status) shows how far everything is.
struct Callbacks {
  nb::object on_step, put, bar;
  bool terminal = false;  ///< put may redraw in place
  bool notebook = false;  ///< a second Ctrl-C must not end the process
  bool signals = true;    ///< Ctrl-C is taken: only Python's main thread may
};

/// Where Ctrl-C is taken; `ending` as InterruptGuard has it.
std::unique_ptr<const InterruptGuard> guard_of(const Callbacks& callbacks, std::string_view ending = kAfterTheRound);

/// Made and destroyed with the GIL; the study runs without it, and each callback takes it.
class PythonHooks : public StudyObserver {
 public:
  /// `config`: what parameters that on_step changes are checked against; empty where it is not known (resume).
  PythonHooks(Callbacks callbacks, std::optional<RunConfig> config);
  ~PythonHooks() override;

  StudyHooks hooks();
  bool has_raised() const { return has_raised_; }
  /// After the study: throws what a callback raised, with its traceback. Needs the GIL.
  void rethrow();
  void on_start(const Trial& trial) override;
  void on_resume(const StudyState& state) override;

 private:
  template <typename Call>
  void guarded(const Call& call);
  void on_step(std::span<const Report> reports, std::vector<Action>& actions);
  void check(const Action& action) const;
  ProgressOptions progress_options();

  Callbacks callbacks_;
  std::optional<RunConfig> config_;
  std::set<TrialId> known_;
  std::shared_ptr<ReportObjects> objects_ = std::make_shared<ReportObjects>();
  std::mutex mutex_;
  std::exception_ptr raised_;  // the first; the study ends after the round
  std::atomic<bool> has_raised_ = false;
  std::unique_ptr<const InterruptGuard> guard_;
  Progress progress_;  // last: its thread calls the others
};

}  // namespace finetune::python
