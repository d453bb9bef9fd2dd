#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/text.h"

namespace finetune {
namespace {

constexpr std::chrono::milliseconds kRedrawEvery{120};

std::pair<int, int> terminal_size() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

std::string name_of(TrialId id) {
  return id.value < 0 ? "default" : fmt::format("trial {}", id.value);
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  end();
}

StudyHooks Progress::hooks(std::function<bool()> stop) {
  return {.observers = {this},
          .stop = std::move(stop),
          .say = [this](const std::string& line) { say(line); },
          .on_begin = [this](const StudyPlan& plan) { begin(plan); }};
}

void Progress::begin(const StudyPlan& plan) {
  plan_ = plan;
  started_ = drawn_ = Clock::now();
}

// May come from any thread: one write, and the live table is drawn again below it.
void Progress::say(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::end() {
  clear();
}

void Progress::on_start(const Trial& trial) {
  running_[trial.id] = {};
}

void Progress::on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    Line& line = running_[trials[i]->id];
    line.step = results[i].step;
    line.loss = results[i].train_loss;
    tokens_ += results[i].tokens;
  }
  if (!terminal_ || Clock::now() - drawn_ < kRedrawEvery) return;
  redraw();
}

void Progress::on_evaluation(const Trial& trial, const EvalResult&, double metric) {
  running_[trial.id].metric = metric;
  const bool better =
      trial.id.value >= 0 && (!best_ || to_minimized(metric, plan_.direction) < to_minimized(*best_, plan_.direction));
  if (better) {
    best_ = metric;
    best_trial_ = trial.id;
  }
  if (!terminal_ && better)
    std::fprintf(
        stderr, "%s\n",
        fmt::format("step {:>5}  {}  {} {:.5g}  best so far", trial.step, name_of(trial.id), plan_.metric, metric)
            .c_str());
}

void Progress::on_end(const Trial& trial) {
  running_.erase(trial.id);
  if (trial.id.value >= 0) {
    ++ended_;
    ended_steps_ += trial.step;
  }
  if (terminal_) return;
  const std::string metric = trial.best_metric ? fmt::format("  {} {:.5g}", plan_.metric, *trial.best_metric) : "";
  const std::string reason = trial.reason.empty() ? "" : "  (" + trial.reason + ")";
  std::fprintf(
      stderr, "%s\n",
      fmt::format("step {:>5}  {}  {}{}{}", trial.step, name_of(trial.id), to_text(trial.state), metric, reason)
          .c_str());
}

std::string Progress::bar_line() const {
  // A trial that was stopped counts as whole: its steps will not be run.
  double done = static_cast<double>(ended_);
  for (const auto& [id, line] : running_) {
    if (id.value >= 0) done += static_cast<double>(line.step) / static_cast<double>(plan_.steps_per_trial);
  }
  const double share = std::clamp(done / static_cast<double>(std::max<std::int64_t>(1, plan_.trials)), 0.0, 1.0),
               elapsed = seconds();
  const auto filled = static_cast<std::size_t>(share * 24);
  const std::string left = share > 0.01 ? duration_text(elapsed * (1 - share) / share) : "?";
  const std::string best = best_ ? fmt::format("best {:.5g} ({})", *best_, name_of(best_trial_)) : "";
  return fmt::format("[{}{}] {:3.0f} %  {}/{} trials  {} tokens/s  {} gone, {} left  {}", std::string(filled, '#'),
                     std::string(24 - filled, '.'), 100 * share, ended_, plan_.trials,
                     with_commas(static_cast<long long>(static_cast<double>(tokens_) / std::max(1e-3, elapsed))),
                     duration_text(elapsed), left, best);
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
    const std::string metric = line.metric ? fmt::format("  {} {:.5g}", plan_.metric, *line.metric) : "";
    lines.push_back(fmt::format("{:<10} step {:>5}/{}  loss {:.5g}{}", name_of(id), line.step, plan_.steps_per_trial,
                                line.loss, metric));
  }
  lines.push_back(bar_line());
  clear();
  for (const auto& line : lines)
    std::fprintf(stderr, "%s\n", line.substr(0, static_cast<std::size_t>(width - 1)).c_str());
  std::fflush(stderr);
  lines_drawn_ = static_cast<int>(lines.size());
  drawn_ = Clock::now();
}

void Progress::clear() {
  if (lines_drawn_ > 0) std::fprintf(stderr, "\x1b[%dA\x1b[J", lines_drawn_);
  lines_drawn_ = 0;
}

}  // namespace finetune
