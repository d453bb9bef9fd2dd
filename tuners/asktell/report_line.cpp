#include "tuners/asktell/report_line.h"

#include <simdjson.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace finetune {
namespace {

using LineValue = simdjson::ondemand::value;

bool parse_whole(LineValue json, std::int64_t low, std::int64_t& into) {
  return json.get_int64().get(into) == simdjson::SUCCESS && into >= low;
}

bool parse_value(LineValue json, double& into) {
  std::string_view text;
  if (json.get_double().get(into) == simdjson::SUCCESS) return std::isfinite(into);
  if (json.get_string().get(text) != simdjson::SUCCESS) return false;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "nan") return into = std::numeric_limits<double>::quiet_NaN(), true;
  if (text == "inf") return into = kInfinity, true;
  if (text == "-inf") return into = -kInfinity, true;
  return false;
}

// Each of the three fields once, and no other.
bool parse_entry(simdjson::ondemand::object object, ReportEntry& entry) {
  bool has_id = false, has_step = false, has_value = false;
  for (auto result : object) {
    simdjson::ondemand::field field;
    if (std::move(result).get(field) != simdjson::SUCCESS) return false;
    const auto key = field.key();
    bool good = false;
    if (key == "id") {
      good = !std::exchange(has_id, true) && parse_whole(field.value(), 0, entry.id);
    } else if (key == "step") {
      good = !std::exchange(has_step, true) && parse_whole(field.value(), 1, entry.step);
    } else if (key == "value") {
      good = !std::exchange(has_value, true) && parse_value(field.value(), entry.value);
    }
    if (!good) return false;
  }
  return has_id && has_step && has_value;
}

bool parse_list(simdjson::ondemand::array list, std::vector<ReportEntry>& entries) {
  for (auto result : list) {
    simdjson::ondemand::object object;
    if (result.get_object().get(object) != simdjson::SUCCESS) return false;
    if (!parse_entry(object, entries.emplace_back())) return false;
  }
  return true;
}

bool parse_request(simdjson::ondemand::document& document, std::vector<ReportEntry>& entries) {
  simdjson::ondemand::object request;
  if (document.get_object().get(request) != simdjson::SUCCESS) return false;
  int keys = 0;
  for (auto result : request) {
    simdjson::ondemand::field field;
    simdjson::ondemand::array list;
    if (std::move(result).get(field) != simdjson::SUCCESS || ++keys > 1 || !(field.key() == "report")) return false;
    if (field.value().get_array().get(list) != simdjson::SUCCESS || !parse_list(list, entries)) return false;
  }
  const char* rest = nullptr;
  return keys == 1 && document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
}

}  // namespace

struct ReportLineReader::State {
  simdjson::ondemand::parser parser;
  std::string line;  // with room behind it, as the parser wants it
  std::vector<ReportEntry> entries;
};

ReportLineReader::ReportLineReader() : state_(std::make_unique<State>()) {}
ReportLineReader::~ReportLineReader() = default;
ReportLineReader::ReportLineReader(ReportLineReader&&) noexcept = default;

const std::vector<ReportEntry>* ReportLineReader::read(std::string_view line) {
  if (!line.starts_with("{\"report\"")) return nullptr;
  State& state = *state_;
  state.line.assign(line);
  state.line.reserve(line.size() + simdjson::SIMDJSON_PADDING);
  state.entries.clear();
  simdjson::ondemand::document document;
  const simdjson::padded_string_view padded(state.line.data(), state.line.size(), state.line.capacity());
  if (state.parser.iterate(padded).get(document) != simdjson::SUCCESS) return nullptr;
  return parse_request(document, state.entries) ? &state.entries : nullptr;
}

}  // namespace finetune
