#include "tuners/saved_state.h"

#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace finetune {
namespace {

std::int64_t whole_up_to(std::int64_t most, const nlohmann::json& json) {
  // A number too large for the type wraps around in get().
  if (!json.is_number_integer() || (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t(most)) ||
      json.get<std::int64_t>() < 0 || json.get<std::int64_t>() > most)
    throw bad_input("", "holds " + json.dump().substr(0, 40) + " where a whole number from 0 to " +
                            std::to_string(most) + " belongs");
  return json.get<std::int64_t>();
}

}  // namespace

std::int64_t count_from(const nlohmann::json& json) {
  return whole_up_to(std::int64_t{1} << 53, json);
}

std::size_t index_from(const nlohmann::json& json, std::size_t size) {
  return static_cast<std::size_t>(whole_up_to(static_cast<std::int64_t>(size) - 1, json));
}

TrialId trial_from(const nlohmann::json& json, std::span<const TrialRecord> trials) {
  return {static_cast<std::int64_t>(index_from(json, trials.size()))};
}

void require_all(std::size_t places, std::span<const TrialRecord> trials) {
  if (places != trials.size())
    throw bad_input("", std::to_string(trials.size()) + " trials have " + std::to_string(places) + " places");
}

}  // namespace finetune
