#include "engine/part_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/metric.h"
#include "core/text.h"
#include "engine/schedule.h"

namespace finetune {
namespace {

std::string part_text(const std::string& key, const DataPart& part, std::int64_t examples) {
  return fmt::format("{} {}: {} examples", key, part.name.empty() ? part.path : part.name, with_commas(examples));
}

std::string share_text(const RunConfig& config, const DataPart& part, double share, std::int64_t examples) {
  const std::string key = "data.weights." + part.name;
  const auto is_it = [&](const SearchParameter& parameter) { return parameter.name == key; };
  const std::int64_t steps = last_step(config.train);
  const double draws = share * static_cast<double>(steps) * static_cast<double>(config.train.batch_size);
  return fmt::format(", {:.3g} % of the draws, which are {:.3g} passes over them in {} steps{}", 100 * share,
                     draws / static_cast<double>(std::max<std::int64_t>(1, examples)), with_commas(steps),
                     std::ranges::any_of(config.search, is_it) ? "; " + key + " is searched" : "");
}

}  // namespace

std::vector<std::string> part_lines(const RunConfig& config, const OpenedData& data) {
  std::vector<std::string> lines;
  const auto train = part_sizes(data.train), valid = part_sizes(data.valid);
  const bool mixed = config.train.shares.size() == data.train.parts.size();
  for (std::size_t i = 0; i < data.train.parts.size(); ++i) {
    const DataPart& part = data.train.parts[i];
    lines.push_back(part_text("data.train", part, train[i]) +
                    (mixed ? share_text(config, part, config.train.shares[i], train[i]) : ""));
  }
  for (std::size_t i = 0; i < data.valid.parts.size(); ++i) {
    const DataPart& part = data.valid.parts[i];
    lines.push_back(part_text("data.valid", part, valid[i]) +
                    (part.name.empty() ? "" : std::string(", whose loss is logged as ") + kPartLoss + part.name));
  }
  return lines;
}

}  // namespace finetune
