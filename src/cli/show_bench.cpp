#include "cli/show_bench.h"

#include <fmt/format.h>

#include <cmath>
#include <ostream>

#include "cli/show_doctor.h"
#include "core/text.h"
#include "core/text_table.h"

namespace finetune {
namespace {

std::string whole(double number) {
  return with_commas(std::llround(number));
}

TableRow speed_row(const BenchReport& report, const TrainingSpeed& speed, const std::string& name) {
  return {name,
          whole(speed.tokens_per_second()),
          fmt::format("{:.1f} %", 100 * report.share(speed)),
          short_time(speed.seconds / static_cast<double>(speed.steps)),
          fmt::format("{:.4g}", speed.last_loss),
          fmt::format("{:.4g}{}", speed.gradient_norm, speed.finite ? "" : ", not finite")};
}

void put_lines(std::ostream& out, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) out << line << "\n";
}

void show_goal(std::ostream& out, const BenchReport& report, std::size_t width) {
  if (!report.goal) return put_lines(out, wrapped_lines("there is no goal for a model of this size", width));
  const SpeedGoal& goal = *report.goal;
  if (!report.is_goal_device)
    return put_lines(
        out, wrapped_lines(fmt::format("the goal for this model, {} tokens/s, is for one H200 in bfloat16, which "
                                       "this is not",
                                       whole(goal.goal)),
                           width));
  const double best = report.packed.tokens_per_second() / static_cast<double>(report.devices);
  const TableColumn columns[] = {{"", true}, {"must beat"}, {"good (about half)"}, {"goal"}, {"stretch"}, {"measured"}};
  const TableRow rows[] = {{"tokens/s of a device", goal.must_beat > 0 ? whole(goal.must_beat) : "-", whole(goal.good),
                            whole(goal.goal), whole(goal.stretch),
                            fmt::format("{} ({:.0f} % of the goal)", whole(best), 100 * best / goal.goal)}};
  put_lines(out, table_lines(columns, rows, width));
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

void show_bench(std::ostream& out, const BenchReport& report, const std::string& command, std::size_t width) {
  const auto say = [&](const std::string& text) { put_lines(out, wrapped_lines(text, width)); };
  for (const std::string& note : report.notes) say(note);
  say(fmt::format("{}: {} parameters in {}{}, kernels {}; {}{}", report.model, with_commas(report.parameters),
                  report.dtype, report.quantize == "none" ? "" : " over " + report.quantize, join(report.kernels, ", "),
                  report.device, report.devices > 1 ? fmt::format(" and {} more", report.devices - 1) : ""));
  const std::string what = report.method == "full" ? "all weights" : "rank " + ranks_text(report);
  say(fmt::format("{} trial{} of {} on {} lane{}, a step is {} row{} of {} tokens each, every token a target",
                  report.trials, report.trials == 1 ? "" : "s", what, report.lanes, report.lanes == 1 ? "" : "s",
                  report.batch, report.batch == 1 ? "" : "s", rows_text(report)));
  say(fmt::format("{:.3g} GFLOP a token; products run at {}", report.flops_per_token * 1e-9,
                  rate_text(report.product_rate)));
  out << "\n";
  const TableColumn columns[] = {{"training", true}, {"tokens/s"},  {"of the products"},
                                 {"a step"},         {"last loss"}, {"norm"}};
  const TableRow rows[] = {speed_row(report, report.packed, fmt::format("packed, {} trials", report.trials)),
                           speed_row(report, report.alone, "one by one")};
  put_lines(out, table_lines(columns, rows, width));
  say(fmt::format("  packed over one by one: {:.2f}",
                  report.packed.tokens_per_second() / report.alone.tokens_per_second()));
  out << "\n";
  show_goal(out, report, width);
  out << "to send it back: " << command << " --json > bench.json\n";  // in one line, to be copied
}

}  // namespace finetune
