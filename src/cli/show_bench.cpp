#include "cli/show_bench.h"

#include <fmt/format.h>

#include <cmath>
#include <ostream>

#include "cli/show_doctor.h"
#include "core/text.h"

namespace finetune {
namespace {

std::string whole(double number) {
  return with_commas(std::llround(number));
}

void show_speed(std::ostream& out, const BenchReport& report, const TrainingSpeed& speed, const std::string& name) {
  out << fmt::format("  {:<28}{:>12}{:>14.1f} %{:>14}{:>12.4g}{:>10.4g}{}\n", name, whole(speed.tokens_per_second()),
                     100 * report.share(speed), short_time(speed.seconds / static_cast<double>(speed.steps)),
                     speed.last_loss, speed.gradient_norm, speed.finite ? "" : "  not finite");
}

void show_goal(std::ostream& out, const BenchReport& report) {
  if (!report.goal) {
    out << "there is no goal for a model of this size\n";
    return;
  }
  const SpeedGoal& goal = *report.goal;
  if (!report.is_goal_device) {
    out << fmt::format("the goal for this model, {} tokens/s, is for one H200 in bfloat16, which this is not\n",
                       whole(goal.goal));
    return;
  }
  const double best = report.packed.tokens_per_second() / static_cast<double>(report.devices);
  out << fmt::format(
      "  tokens/s of a device  must beat  good (about half)  goal       stretch    measured\n"
      "  {:<22}{:<11}{:<19}{:<11}{:<11}{} ({:.0f} % of the goal)\n",
      "", goal.must_beat > 0 ? whole(goal.must_beat) : "-", whole(goal.good), whole(goal.goal), whole(goal.stretch),
      whole(best), 100 * best / goal.goal);
}

std::string rows_text(const BenchReport& report) {
  return report.shortest == report.longest ? std::to_string(report.longest)
                                           : fmt::format("{} to {}", report.shortest, report.longest);
}

std::string ranks_text(const BenchReport& report) {
  std::vector<std::string> ranks;
  for (const std::int64_t rank : report.ranks) ranks.push_back(std::to_string(rank));
  return join(ranks, ", ");
}

}  // namespace

void show_bench(std::ostream& out, const BenchReport& report, const std::string& command) {
  for (const std::string& note : report.notes) out << note << "\n";
  out << fmt::format("{}: {} parameters in {}{}, kernels {}; {}{}\n", report.model, with_commas(report.parameters),
                     report.dtype, report.quantize == "none" ? "" : " over " + report.quantize,
                     join(report.kernels, ", "), report.device,
                     report.devices > 1 ? fmt::format(" and {} more", report.devices - 1) : "");
  const std::string what = report.method == "full" ? "all weights" : "rank " + ranks_text(report);
  out << fmt::format("{} trial{} of {} on {} lane{}, a step is {} row{} of {} tokens each, every token a target\n",
                     report.trials, report.trials == 1 ? "" : "s", what, report.lanes, report.lanes == 1 ? "" : "s",
                     report.batch, report.batch == 1 ? "" : "s", rows_text(report));
  out << fmt::format("{:.3g} GFLOP a token; products run at {}\n\n", report.flops_per_token * 1e-9,
                     rate_text(report.product_rate));
  out << fmt::format("  {:<28}{:>12}{:>16}{:>14}{:>12}{:>10}\n", "training", "tokens/s", "of the products", "a step",
                     "last loss", "norm");
  show_speed(out, report, report.packed, fmt::format("packed, {} trials", report.trials));
  show_speed(out, report, report.alone, "one by one");
  out << fmt::format("  packed over one by one: {:.2f}\n\n",
                     report.packed.tokens_per_second() / report.alone.tokens_per_second());
  show_goal(out, report);
  out << "to send it back: " << command << " --json > bench.json\n";
}

}  // namespace finetune
