#include "models/generate/end_ids.h"

#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

std::int32_t id_from(const std::string& where, const nlohmann::ordered_json& json, std::int64_t vocabulary) {
  const bool whole = json.is_number_integer();
  const double value = whole ? json.get<double>() : -1;  // as double: a huge unsigned must not wrap
  if (value < 0 || value >= static_cast<double>(vocabulary))
    throw bad_input(where, "key eos_token_id holds " + json.dump().substr(0, 40) +
                               ", which is no token; ids are 0 to " + std::to_string(vocabulary - 1));
  return json.get<std::int32_t>();
}

}  // namespace

std::vector<std::int32_t> end_ids_of(const std::filesystem::path& folder, std::int64_t vocabulary) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::filesystem::path path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    const auto config = read_json_file(path.string());
    if (!config.is_object() || !config.contains("eos_token_id") || config["eos_token_id"].is_null()) continue;
    std::vector<std::int32_t> ids;
    const auto& value = config["eos_token_id"];
    if (!value.is_array()) return {id_from(path.string(), value, vocabulary)};
    for (const auto& id : value) ids.push_back(id_from(path.string(), id, vocabulary));
    return ids;
  }
  return {};
}

}  // namespace finetune
