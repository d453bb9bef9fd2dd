#include "cli/search_space.h"

namespace finetune {

SearchSpace search_space(const RunConfig& config) {
  SearchSpace space;
  for (const auto& p : config.search) {
    space.parameters.push_back({.name = p.name,
                                .choices = p.choices,
                                .low = p.low,
                                .high = p.high,
                                .log = p.log,
                                .integer = p.integer,
                                .step = p.step,
                                .when = p.when});
  }
  return space;
}

}  // namespace finetune
