#include "study/past_study.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/database_url.h"
#include "core/error.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "study/optuna_schema.h"
#include "study/past_rows.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostTrials = 100'000;
constexpr std::int64_t kMostRows = 5'000'000;  // of all trials together
constexpr std::size_t kMostParams = 1000;      // of one trial
constexpr std::size_t kNamesShown = 10;

constexpr const char* kTables[] = {"alembic_version",
                                   "version_info",
                                   "studies",
                                   "study_directions",
                                   "trials",
                                   "trial_params",
                                   "trial_values",
                                   "study_system_attributes",
                                   "study_user_attributes",
                                   "trial_intermediate_values"};

// Schema version 12 stands for a dozen revisions, of which the older lack columns.
void check_version(PastTables& tables) {
  std::int64_t schema = -1;
  tables.each("version_info", "SELECT rowid, schema_version FROM version_info", {}, 1,
              [&](const PastRow& row) { schema = row.whole(1, "schema_version"); });
  if (schema != kOptunaSchemaVersion)
    throw bad_input(tables.file(), "has Optuna's schema version " + std::to_string(schema) + "; " +
                                       std::to_string(kOptunaSchemaVersion) + " is read");
  std::string revision;
  tables.each("alembic_version", "SELECT rowid, version_num FROM alembic_version", {}, 1,
              [&](const PastRow& row) { revision = row.text(1, "version_num"); });
  if (revision != kOptunaRevision)
    throw bad_input(tables.file(), "has Optuna's revision \"" + revision + "\"; " + kOptunaRevision +
                                       " is read, which `optuna storage upgrade` makes of older ones");
}

std::string study_names(const std::vector<std::string>& names) {
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesShown)));
  const std::size_t more = names.size() - shown.size();
  return join(shown, ", ") + (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

std::int64_t find_study(PastTables& tables, const std::string& wanted, std::string& name) {
  std::vector<std::string> names;
  std::optional<std::int64_t> found;
  tables.each("studies", "SELECT rowid, study_id, study_name FROM studies ORDER BY study_id", {}, kMostTrials,
              [&](const PastRow& row) {
                names.push_back(row.text(2, "study_name"));
                if (!wanted.empty() && names.back() != wanted) return;
                found = row.whole(1, "study_id");
                name = names.back();
              });
  if (names.empty()) throw bad_input(tables.file(), "has no study");
  if (!wanted.empty() && !found)
    throw bad_input(tables.file(), "has no study " + wanted + "; there is " + study_names(names));
  if (wanted.empty() && names.size() > 1)
    throw bad_input(tables.file(), "has " + std::to_string(names.size()) + " studies (" + study_names(names) +
                                       "); name one: FILE#NAME");
  return *found;
}

void read_direction(PastTables& tables, std::int64_t study, PastStudy& past) {
  std::int64_t objectives = 0;
  tables.each("study_directions", "SELECT rowid, direction FROM study_directions WHERE study_id = ?1", {study}, 1000,
              [&](const PastRow& row) {
                ++objectives;
                const std::string& text = row.text(1, "direction");
                if (text == "MINIMIZE") past.direction = Direction::minimize;
                if (text == "MAXIMIZE") past.direction = Direction::maximize;
              });
  if (objectives != 1)
    throw bad_input(tables.file(), "its study has " + std::to_string(objectives) + " objectives; one is read");
}

// Whoever else writes studies may write there what he likes: what is not a name is none.
std::string name_in(const PastRow& row, bool listed) {
  const Json json = parse_strict_json(row.where(), row.text(1, "value_json"), 8);
  const Json* name = &json;
  if (listed) name = json.is_array() && json.size() == 1 ? &json[0] : nullptr;
  return name != nullptr && name->is_string() ? name->get<std::string>() : "";
}

void read_names(PastTables& tables, std::int64_t study, PastStudy& past) {
  tables.each("study_system_attributes",
              "SELECT rowid, value_json FROM study_system_attributes WHERE study_id = ?1 AND \"key\" = "
              "'study:metric_names'",
              {study}, 1, [&](const PastRow& row) { past.metric = name_in(row, true); });
  const auto own = [&](const char* key, std::string& text) {
    tables.each("study_user_attributes",
                "SELECT rowid, value_json FROM study_user_attributes WHERE study_id = ?1 AND \"key\" = ?2",
                {study, key}, 1, [&](const PastRow& row) { text = name_in(row, false); });
  };
  own("model", past.model);
  own(kRungMetricAttribute, past.rung_metric);
}

PastState state_of(const PastRow& row) {
  const std::string& text = row.text(3, "state");
  if (text == "COMPLETE") return PastState::complete;
  if (text == "PRUNED") return PastState::pruned;
  if (text == "FAIL") return PastState::failed;
  if (text == "RUNNING" || text == "WAITING") return PastState::unfinished;
  row.refuse("state is \"" + text + "\", which Optuna does not have");
}

// What a trial's numbers stand for. Optuna writes each distribution out with every value, so few are parsed.
class Choices {
 public:
  Value value_of(const PastRow& row) {
    const double number = row.number(3, "param_value");
    const std::string& text = row.text(4, "distribution_json");
    auto known = known_.find(text);
    if (known == known_.end()) known = known_.emplace(text, parse(row, text)).first;
    const Kind& kind = known->second;
    if (!kind.categorical) return kind.whole ? whole(row, number) : Value(number);
    if (!(number >= 0 && number < static_cast<double>(kind.choices.size())) || number != std::floor(number))
      row.refuse("param_value is no index of its choices");
    return kind.choices[static_cast<std::size_t>(number)];
  }

 private:
  struct Kind {
    bool categorical = false, whole = false;
    std::vector<Value> choices;
  };

  static Value whole(const PastRow& row, double number) {
    if (!(std::abs(number) <= 9e15) || number != std::floor(number)) row.refuse("param_value is not a whole number");
    return static_cast<std::int64_t>(number);
  }

  static Kind parse(const PastRow& row, const std::string& text) {
    const Json json = parse_strict_json(row.where() + ", distribution_json", text, 8);
    if (!json.is_object() || !json.contains("name")) row.refuse("distribution_json is no distribution");
    const Json& name = json["name"];
    if (name == "FloatDistribution") return {};
    if (name == "IntDistribution") return {.whole = true};
    if (name != "CategoricalDistribution") row.refuse("distribution_json is none that Optuna 4.9 or 5.0 writes");
    const bool listed = json.contains("attributes") && json["attributes"].is_object() &&
                        json["attributes"].contains("choices") && json["attributes"]["choices"].is_array();
    if (!listed) row.refuse("distribution_json has no choices");
    Kind kind{.categorical = true};
    for (const Json& choice : json["attributes"]["choices"]) {
      if (choice.is_structured()) row.refuse("distribution_json has a choice that is no value");
      kind.choices.push_back(choice.is_null() ? Value(std::numeric_limits<double>::quiet_NaN())
                                              : value_from_json(choice));
    }
    return kind;
  }

  std::map<std::string, Kind> known_;
};

// The trials of one study by trial_id. Rows of other trials, of which other studies in the file have some, are passed
// over.
class Trials {
 public:
  Trials(PastTables& tables, std::int64_t study) : tables_(tables) {
    tables.each("trials", "SELECT rowid, trial_id, number, state FROM trials WHERE study_id = ?1", {study}, kMostTrials,
                [&](const PastRow& row) {
                  PastTrial trial{.number = row.whole(2, "number"), .state = state_of(row)};
                  if (!trials_.emplace(row.whole(1, "trial_id"), std::move(trial)).second)
                    row.refuse("its trial_id is there twice");
                });
  }

  void read_values() {
    tables_.each("trial_values", "SELECT rowid, trial_id, objective, value, value_type FROM trial_values", {},
                 kMostRows, [&](const PastRow& row) {
                   PastTrial* trial = find(row);
                   if (trial == nullptr) return;
                   if (row.whole(2, "objective") != 0) row.refuse("its study has one objective, which is number 0");
                   if (trial->value) row.refuse("its trial has a value already");
                   trial->value = finite(row, 3, "value");
                 });
  }

  void read_curves() {
    tables_.each("trial_intermediate_values",
                 "SELECT rowid, trial_id, step, intermediate_value, intermediate_value_type FROM "
                 "trial_intermediate_values",
                 {}, kMostRows, [&](const PastRow& row) {
                   PastTrial* trial = find(row);
                   if (trial == nullptr) return;
                   const std::int64_t step = row.whole(2, "step");
                   if (const auto value = finite(row, 3, "intermediate_value")) trial->curve.emplace_back(step, *value);
                 });
    for (auto& entry : trials_) std::sort(entry.second.curve.begin(), entry.second.curve.end());
  }

  void read_params() {
    Choices choices;
    tables_.each("trial_params", "SELECT rowid, trial_id, param_name, param_value, distribution_json FROM trial_params",
                 {}, kMostRows, [&](const PastRow& row) {
                   PastTrial* trial = find(row);
                   if (trial == nullptr) return;
                   const std::string& name = row.text(2, "param_name");
                   if (find_param(trial->params, name) != nullptr) row.refuse("its trial has " + name + " already");
                   if (trial->params.size() >= kMostParams) row.refuse("its trial has more than 1000 parameters");
                   trial->params.emplace_back(name, choices.value_of(row));
                 });
  }

  /// By number.
  std::vector<PastTrial> take() {
    std::vector<PastTrial> list;
    for (auto& entry : trials_) list.push_back(std::move(entry.second));
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    return list;
  }

 private:
  PastTrial* find(const PastRow& row) {
    const auto trial = trials_.find(row.whole(1, "trial_id"));
    return trial == trials_.end() ? nullptr : &trial->second;
  }

  // The column after it says what kind of number it is.
  static std::optional<double> finite(const PastRow& row, std::size_t column, const char* name) {
    const std::string& type = row.text(column + 1, "the type of its value");
    if (type != "FINITE" && type != "INF_POS" && type != "INF_NEG" && type != "NAN")
      row.refuse("the type of its value is \"" + type + "\", which Optuna does not have");
    if (type != "FINITE" || row.is_null(column)) return std::nullopt;
    const double value = row.number(column, name);
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  }

  PastTables& tables_;
  std::map<std::int64_t, PastTrial> trials_;
};

}  // namespace

PastSource past_source(const std::string& entry) {
  std::error_code error;
  const auto at = entry.rfind('#');
  if (at == std::string::npos || fs::exists(entry, error)) return {entry, ""};
  return {entry.substr(0, at), entry.substr(at + 1)};
}

PastStudy read_past_study(const std::string& entry) {
  const PastSource source = past_source(entry);
  PastTables tables(source.file.string());
  for (const char* table : kTables) tables.require_table(table);
  check_version(tables);
  PastStudy past{.source = without_password(entry)};
  const std::int64_t study = find_study(tables, source.study, past.name);
  read_direction(tables, study, past);
  read_names(tables, study, past);
  Trials trials(tables, study);
  trials.read_values();
  trials.read_curves();
  trials.read_params();
  past.trials = trials.take();
  return past;
}

}  // namespace finetune
