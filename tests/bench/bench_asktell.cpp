// Report lines a second of an asktell session, without the pipe. Wanted: 50 000 or more on one core.
#include <benchmark/benchmark.h>

#include "tuners/asktell_play.h"

namespace finetune::testing {
namespace {

// One line a trial and step, eight trials side by side; a fresh study every 1000 steps, its cost included.
void report_lines(benchmark::State& state, const std::string& scheduler) {
  constexpr std::int64_t kSteps = 1000, kTrials = 8;
  const Play play{.scheduler = scheduler, .trials = kTrials, .steps = kSteps};
  std::vector<std::string> lines;
  for (std::int64_t step = 1; step <= kSteps; ++step)
    for (std::int64_t id = 0; id < kTrials; ++id)
      lines.push_back(Json{{"report", {{{"id", id}, {"step", step}, {"value", made_up_loss(id, step)}}}}}.dump());
  for (auto _ : state) {
    AskTellSession session = session_of(play);
    session.answer(R"({"ask":8})");
    for (const auto& line : lines) benchmark::DoNotOptimize(session.answer(line));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lines.size()));
}
BENCHMARK_CAPTURE(report_lines, none, "none");
BENCHMARK_CAPTURE(report_lines, median, "median");

}  // namespace
}  // namespace finetune::testing
