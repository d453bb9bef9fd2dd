#include "host/search_space.h"

#include "tuners/space/checked_value.h"

namespace finetune {

SearchSpace search_space(const RunConfig& config) {
  SearchSpace space;
  for (const auto& p : config.search) {
    if (p.ordinal) {
      space.parameters.push_back(make_ordinal(p.name, p.choices));
      space.parameters.back().when = p.when;
      continue;
    }
    space.parameters.push_back({.name = p.name,
                                .choices = p.choices,
                                .low = p.low,
                                .high = p.high,
                                .log = p.log,
                                .integer = p.integer,
                                .step = p.step,
                                .when = p.when});
  }
  settle_conditions(space);
  return space;
}

}  // namespace finetune
