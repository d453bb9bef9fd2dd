#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <new>
#include <utility>

#include "cli/terminal.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr std::chrono::milliseconds kRedrawEvery{120}, kRedrawAtLeast{1000};

std::pair<int, int> terminal_size() {
  const std::size_t columns = terminal_columns(STDERR_FILENO), rows = terminal_rows(STDERR_FILENO);
  if (columns == 0) return {80, 24};
  return {static_cast<int>(columns), static_cast<int>(rows)};
}

std::string name_of(TrialId id) {
  return id == kDefaultRun ? "default" : fmt::format("trial {}", id.value);
}

std::string name_of(const Trial& trial) {
  return trial.label.empty() ? name_of(trial.id) : trial.label;
}

}  // namespace

ProgressOptions progress_on_stderr() {
  return {.terminal = isatty(STDERR_FILENO) != 0, .put = [](const std::string& text) {
            std::fputs(text.c_str(), stderr);
            std::fflush(stderr);
          }};
}

Progress::Progress(ProgressOptions options)
    : options_(std::move(options)),
      started_(Clock::now()),
      drawn_(started_),
      speaker_([this](const std::stop_token& stopped) { speak_now_and_then(stopped); }) {}

Progress::~Progress() {
  end();
}

StudyHooks Progress::hooks(std::function<bool()> stop) {
  {
    const std::lock_guard lock(mutex_);
    stop_ = stop;
  }
  return {.observers = {this},
          .stop = std::move(stop),
          .say = [this](const std::string& line) { say(line); },
          .on_begin = [this](const StudyPlan& plan) { begin(plan); }};
}

void Progress::end() {
  speaker_.request_stop();
  if (speaker_.joinable()) speaker_.join();
  clear();
}

void Progress::begin(const StudyPlan& plan) {
  const std::lock_guard lock(mutex_);
  plan_ = plan;
  started_ = drawn_ = Clock::now();
}

void Progress::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  put_line(line);
}

// Without a terminal `drawn_` is when the last line on progress was written.
void Progress::speak_now_and_then(const std::stop_token& stopped) {
  const auto every = options_.terminal || options_.bar ? kRedrawAtLeast : options_.status_every;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_until(lock, stopped, drawn_ + every, [] { return false; }) && !stopped.stop_requested()) {
    if (Clock::now() < drawn_ + every) continue;  // something was shown meanwhile
    drawn_ = Clock::now();
    try {
      show_status();
    } catch (const std::bad_alloc&) {  // the next one may find some
    }
  }
}

void Progress::show_status() {
  drawn_ = Clock::now();
  if (options_.bar) {
    options_.bar(plan_ ? share_done() : 0, status_line());
  } else if (!options_.terminal) {
    options_.put(status_line() + "\n");
  } else if (plan_) {
    redraw();
  }
}

void Progress::on_start(const Trial& trial) {
  const std::lock_guard lock(mutex_);
  running_[trial.id] = {.name = name_of(trial)};
}

void Progress::on_resume(const StudyState& state) {
  const std::lock_guard lock(mutex_);
  const auto take_up = [this](const Trial& trial) {
    const bool ended = trial.state != TrialState::running && trial.state != TrialState::paused;
    if (trial.state == TrialState::running)
      running_[trial.id] = {name_of(trial), trial.step, trial.train_loss, trial.metric};
    if (ended && is_listed(trial.id)) ++ended_;
    const bool better = trial.best_metric && (!best_ || to_minimized(*trial.best_metric, plan_->direction) <
                                                            to_minimized(*best_, plan_->direction));
    if (trial.id == kDefaultRun || !better) return;
    best_ = trial.best_metric;
    best_trial_ = trial.id;
  };
  if (state.default_run) take_up(*state.default_run);
  for (const Trial& trial : state.trials) take_up(trial);
  for (const ExtraRun& run : state.extras) {
    if (run.started && run.trial.state == TrialState::running)
      running_[run.trial.id] = {name_of(run.trial), run.trial.step, run.trial.train_loss, run.trial.metric};
  }
  steps_ = state.steps;
  share_before_ = share_done();
}

void Progress::on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < results.size(); ++i) {
    Line& line = running_[trials[i]->id];
    line.step = results[i].step;
    line.loss = results[i].train_loss;
    tokens_ += results[i].tokens;
    if (trials[i]->id.value >= 0) ++steps_;
  }
  if ((options_.terminal || options_.bar) && Clock::now() - drawn_ >= kRedrawEvery) show_status();
}

void Progress::on_evaluation(const Trial& trial, const EvalResult&, const MetricValues& values) {
  const std::lock_guard lock(mutex_);
  if (!values.metric) running_[trial.id].compared = values.compared;
  if (!values.metric || !std::isfinite(*values.metric)) return;
  const double metric = *values.metric;
  running_[trial.id].metric = metric;
  const Direction direction = plan_->direction;
  if (trial.id.value < 0 || (best_ && to_minimized(metric, direction) >= to_minimized(*best_, direction))) return;
  best_ = metric;
  best_trial_ = trial.id;
  if (!options_.terminal)
    put_line(fmt::format("step {:>5}  {}  {} {:.5g}  best so far", trial.step, name_of(trial), plan_->metric, metric));
}

void Progress::on_end(const Trial& trial) {
  const std::lock_guard lock(mutex_);
  const std::optional<double> compared = running_[trial.id].compared;
  running_.erase(trial.id);
  if (trial.id.value >= 0) ++ended_;
  if (options_.terminal && trial.state != TrialState::failed) return;
  std::string metric = trial.metric ? fmt::format("  {} {:.5g}", plan_->metric, *trial.metric) : "";
  if (!trial.metric && compared) metric = fmt::format("  {} {:.5g}", plan_->rung_metric, *compared);
  if (trial.best_metric != trial.metric)
    metric += fmt::format(", at step {} {:.5g}", trial.best_step, *trial.best_metric);
  const std::string reason = trial.reason.empty() ? "" : "  (" + trial.reason + ")";
  put_line(fmt::format("step {:>5}  {}  {}{}{}", trial.step, name_of(trial), to_text(trial.state), metric, reason));
}

// What is still to come takes its time, and a finished bar would not say so.
void Progress::on_search_end(const StudyState& state) {
  const std::lock_guard lock(mutex_);
  if (!plan_ || plan_->trials == 1) return;
  const std::size_t runs = state.extras.size();
  const auto failed = [](const Trial& trial) { return trial.state == TrialState::failed; };
  if (std::ranges::all_of(state.trials, failed)) return;  // there is no best to look at
  const auto is_path = [](const ExtraRun& run) { return run.kind == ExtraRun::Kind::ablation; };
  std::string first = runs == 0 ? "" : fmt::format("{} more {}, then ", runs, runs == 1 ? "run" : "runs");
  if (plan_->ablation && runs > 0 && std::ranges::none_of(state.extras, is_path))
    first += "the path to the winner and ";
  put_line("the search is over; " + first + "a last look at the best");
}

// A trial that was stopped counts as whole: its steps will not be run. Whichever budget ends first counts.
double Progress::share_done() const {
  double done = static_cast<double>(ended_);
  for (const auto& [id, line] : running_) {
    if (id.value >= 0) done += static_cast<double>(line.step) / static_cast<double>(plan_->steps_per_trial);
  }
  double share = done / static_cast<double>(std::max<std::int64_t>(1, plan_->trials));
  const BudgetConfig& budget = plan_->budget;
  if (budget.steps) share = std::max(share, static_cast<double>(steps_) / static_cast<double>(*budget.steps));
  if (budget.tokens) share = std::max(share, static_cast<double>(tokens_) / static_cast<double>(*budget.tokens));
  if (budget.seconds) share = std::max(share, seconds() / *budget.seconds);
  return std::clamp(share, 0.0, 1.0);
}

std::string Progress::status_line() const {
  const double elapsed = seconds();
  if (!plan_) return fmt::format("still reading model and data, {} gone", duration_text(elapsed));
  const double share = share_done();
  std::string text;
  if (options_.terminal && !options_.bar) {
    const auto filled = static_cast<std::size_t>(share * 24);
    text = fmt::format("[{}{}] ", std::string(filled, '#'), std::string(24 - filled, '.'));
  }
  if (!options_.bar) text += fmt::format("{:3.0f} %  ", 100 * share);
  text += fmt::format("{}/{} trials  ", ended_, plan_->trials);
  if (plan_->trials == 1 && !running_.empty()) {
    const Line& line = running_.rbegin()->second;
    text += fmt::format("step {}/{}  ", line.step, plan_->steps_per_trial);
    if (line.step > 0) text += fmt::format("loss {:.5g}  ", line.loss);
  }
  if (tokens_ > 0)
    text += fmt::format("{} tokens/s  ",
                        with_commas(static_cast<long long>(static_cast<double>(tokens_) / std::max(1e-3, elapsed))));
  text += duration_text(elapsed) + " gone";
  const double here = share - share_before_;  // what this process has done of it
  if (here > 0.01) text += ", " + duration_text(elapsed * (1 - share) / here) + " left";
  if (best_) text += fmt::format("  best {} {:.5g} ({})", plan_->metric, *best_, name_of(best_trial_));
  return text;
}

// Above the live table, where there is one.
void Progress::put_line(const std::string& line) {
  clear();
  options_.put(line + "\n");
}

void Progress::redraw() {
  const auto [width, height] = terminal_size();
  std::vector<std::string> lines;
  const auto room = static_cast<std::size_t>(std::max(1, std::min(height - 4, 20)));
  for (const auto& [id, line] : running_) {
    if (lines.size() == room) {
      lines.push_back(fmt::format("... and {} more running", running_.size() - room));
      break;
    }
    const std::string metric = line.metric ? fmt::format("  {} {:.5g}", plan_->metric, *line.metric) : "";
    lines.push_back(fmt::format("{:<10} step {:>5}/{}{}{}", line.name, line.step, plan_->steps_per_trial,
                                line.step > 0 ? fmt::format("  loss {:.5g}", line.loss) : "", metric));
  }
  lines.push_back(status_line());
  clear();
  std::string text;
  for (const auto& line : lines) text += line.substr(0, static_cast<std::size_t>(width - 1)) + "\n";
  options_.put(text);
  lines_drawn_ = static_cast<int>(lines.size());
  drawn_ = Clock::now();
}

void Progress::clear() {
  // Ctrl-C has written its message under the table (cli/interrupt.h), so the table is no longer where it was drawn.
  if (stop_ && stop_() && !std::exchange(stopped_, true)) lines_drawn_ = 0;
  if (lines_drawn_ > 0) options_.put(fmt::format("\x1b[{}A\x1b[J", lines_drawn_));
  lines_drawn_ = 0;
}

}  // namespace finetune
