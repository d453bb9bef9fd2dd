#include "report/lineage.h"

#include <algorithm>

namespace finetune {

std::vector<Stretch> ancestry(const ReportFacts& study) {
  std::vector<Stretch> way;
  if (!study.best) return way;
  std::size_t copies = 0;
  for (const TrialFacts& trial : study.trials)
    copies += static_cast<std::size_t>(
        std::ranges::count_if(trial.lineage, [](const LineageFact& event) { return event.copy_of.has_value(); }));
  std::size_t at = *study.best;
  std::int64_t last = study.trials[at].step;
  while (true) {
    const LineageFact* copy = nullptr;
    for (const LineageFact& event : study.trials[at].lineage) {
      if (event.copy_of && event.step < last) copy = &event;
    }
    way.push_back({at, copy != nullptr ? copy->step : 0, last});
    if (copy == nullptr || way.size() > copies) break;
    const auto donor = std::ranges::find(study.trials, *copy->copy_of, &TrialFacts::id);
    if (donor == study.trials.end()) break;
    at = static_cast<std::size_t>(donor - study.trials.begin());
    last = copy->step;
  }
  std::ranges::reverse(way);
  return way;
}

}  // namespace finetune
