#include "report/profile.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "core/text_table.h"
#include "report/json_parts.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

std::string or_dash(const std::optional<double>& value, const char* form, double factor = 1) {
  return value ? fmt::format(fmt::runtime(form), factor * *value) : "-";
}

void set(Json& json, const char* key, const std::optional<double>& value) {
  if (value) json[key] = number_to_json(*value);
}
std::optional<double> read(const Json& json, const char* key) {
  return json.contains(key) ? std::optional(number_from_json(json[key])) : std::nullopt;
}

Json row_json(const PartFact& row) {
  Json json = {{"part", row.part}, {"seconds", number_to_json(row.seconds)}, {"share", number_to_json(row.share)}};
  if (row.calls) json["calls"] = *row.calls;
  json["ms_per_step"] = number_to_json(row.ms_per_step);
  set(json, "gflops", row.gflops);
  set(json, "gbytes", row.gbytes);
  set(json, "of_ceiling", row.of_ceiling);
  return json;
}
PartFact row_from(const Json& json) {
  PartFact row;
  row.part = json.at("part").get<std::string>();
  row.seconds = number_from_json(json.at("seconds"));
  row.share = number_from_json(json.at("share"));
  if (json.contains("calls")) row.calls = whole_number(json["calls"]);
  row.ms_per_step = number_from_json(json.at("ms_per_step"));
  row.gflops = read(json, "gflops");
  row.gbytes = read(json, "gbytes");
  row.of_ceiling = read(json, "of_ceiling");
  return row;
}

}  // namespace

std::string profile_title(const ProfileFacts& profile) {
  if (profile.steps == 0) return "run.profile: nothing was measured";
  const std::string since =
      profile.after_round > 0 ? fmt::format(" since it went on after round {}", with_commas(profile.after_round)) : "";
  const std::size_t lanes = profile.waiting.size();
  return fmt::format(
      "where the time went{}: {:.2f} s by the clock, {} lane{}, {} steps of a lane (all its trials at once)", since,
      profile.seconds, lanes, lanes == 1 ? "" : "s", with_commas(profile.steps));
}

std::string profile_ceiling_text(const ProfileFacts& profile) {
  if (!profile.ceiling) return "times are those of the threads that give devices their work, so there is no ceiling";
  return fmt::format(
      "the ceiling of a lane is its share of what all processors did just now: {:.0f} GFLOP/s in a product of {}, "
      "{:.0f} "
      "GB/s in a copy; operations and bytes follow from shapes, and what stays in a cache may pass the ceiling of a "
      "copy",
      profile.ceiling->gflops, profile.ceiling->size, profile.ceiling->gbytes);
}

std::vector<std::string> profile_cells(const PartFact& row) {
  return {fmt::format("{:.1f} %", 100 * row.share),
          row.calls ? with_commas(*row.calls) : "-",
          row.ms_per_step > 0 ? fmt::format("{:.3f}", row.ms_per_step) : "-",
          or_dash(row.gflops, "{:.1f}"),
          or_dash(row.gbytes, "{:.1f}"),
          or_dash(row.of_ceiling, "{:.0f} %", 100)};
}

std::vector<std::string> profile_lines(const ProfileFacts& profile, std::size_t width) {
  std::vector<std::string> lines = wrapped_lines(profile_title(profile), width);
  if (profile.steps == 0) return lines;
  const auto add = [&](const std::vector<std::string>& more) { lines.insert(lines.end(), more.begin(), more.end()); };
  std::vector<TableColumn> columns;
  for (const char* name : kProfileColumns) columns.push_back({name, columns.empty()});
  std::vector<TableRow> rows;
  for (const PartFact& row : profile.rows) {
    rows.push_back({row.part});
    const std::vector<std::string> cells = profile_cells(row);
    rows.back().insert(rows.back().end(), cells.begin(), cells.end());
  }
  add(table_lines(columns, rows, width));
  std::vector<std::string> waiting;
  for (const double share : profile.waiting) waiting.push_back(fmt::format("{:.0f} %", 100 * share));
  add(wrapped_lines("waiting, by lane: " + join(waiting, ", "), width));
  add(wrapped_lines(profile_ceiling_text(profile), width));
  return lines;
}

Json to_json(const ProfileFacts& profile) {
  Json json = {{"seconds", number_to_json(profile.seconds)}, {"steps", profile.steps}};
  if (profile.after_round > 0) json["after_round"] = profile.after_round;
  json["waiting"] = list_json(profile.waiting, [](double share) { return number_to_json(share); });
  if (const auto& ceiling = profile.ceiling)
    json["ceiling"] = {{"gflops", number_to_json(ceiling->gflops)},
                       {"gbytes", number_to_json(ceiling->gbytes)},
                       {"size", ceiling->size}};
  json["parts"] = list_json(profile.rows, row_json);
  return json;
}

ProfileFacts profile_from_json(const Json& json) {
  ProfileFacts profile;
  profile.seconds = number_from_json(json.at("seconds"));
  profile.steps = whole_number(json.at("steps"));
  if (json.contains("after_round")) profile.after_round = whole_number(json["after_round"]);
  read_list(json, "waiting", profile.waiting, [](const Json& share) { return number_from_json(share); });
  if (json.contains("ceiling")) {
    const Json& ceiling = json["ceiling"];
    profile.ceiling = CeilingFact{.gflops = number_from_json(ceiling.at("gflops")),
                                  .gbytes = number_from_json(ceiling.at("gbytes")),
                                  .size = whole_number(ceiling.at("size"))};
  }
  read_list(json, "parts", profile.rows, row_from);
  return profile;
}

}  // namespace finetune
