// Any bytes as a database of tune.warm_start: an Error, or trials that a search can learn from. What does not begin as
// a database file is rows for the tables of one, so that the reader is reached without a checksum of pages in the way.
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/files.h"
#include "study/database.h"
#include "study/optuna_schema.h"
#include "study/warm_start.h"

namespace {

using namespace finetune;

const std::string& path() {
  static const std::string kPath =
      (std::filesystem::temp_directory_path() / ("finetune_fuzz_" + std::to_string(getpid()) + ".db")).string();
  return kPath;
}

void write_file(std::string_view bytes) {
  FILE* file = fopen(path().c_str(), "wb");
  if (file == nullptr || fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  fclose(file);
}

// Values by a byte that says which kind: small numbers, a real one, texts of the schema, the next bytes.
class Values {
 public:
  explicit Values(std::string_view bytes) : bytes_(bytes) {}
  bool any() const { return !bytes_.empty(); }
  unsigned take() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  SqlValue next() {
    static const char* const kTexts[] = {
        "COMPLETE",
        "PRUNED",
        "FINITE",
        "NAN",
        "x",
        "c",
        R"({"name": "FloatDistribution"})",
        R"({"name": "IntDistribution"})",
        R"({"name": "CategoricalDistribution", "attributes": {"choices": ["a", 8, null]}})"};
    const unsigned kind = take();
    if (kind < 32) return std::int64_t{kind} - 2;
    if (kind < 64) return (kind - 48) / 16.0;
    if (kind < 128) return kTexts[kind % std::size(kTexts)];
    if (kind < 132) return std::monostate{};
    const std::size_t size = std::min<std::size_t>(kind - 132, bytes_.size());
    const std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view bytes_;
};

// A database with the tables and one empty study; made once, since that takes as long as everything else.
const std::string& empty_study() {
  static const std::string kBytes = [] {
    unlink(path().c_str());
    {
      Database database(path());
      database.execute(kOptunaSchema);
      database.execute(
          "INSERT INTO alembic_version VALUES ('v3.2.0.a'); INSERT INTO version_info VALUES (1, 12, '');"
          "INSERT INTO studies VALUES (1, 'study'); INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0)");
    }
    return read_file(path());
  }();
  return kBytes;
}

void write_rows(std::string_view bytes) {
  write_file(empty_study());
  Database database(path());
  database.execute("PRAGMA synchronous = OFF");
  Transaction transaction(database);
  Values values(bytes);
  for (int row = 0; row < 64 && values.any(); ++row) {
    const unsigned table = values.take() % 5;
    const SqlValue a = values.next(), b = values.next(), c = values.next(), d = values.next();
    try {
      if (table == 0)
        database.run("INSERT INTO trials (trial_id, number, study_id, state) VALUES (?1, ?2, 1, ?3)", {a, b, c});
      if (table == 1)
        database.run(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)",
            {a, b, c, d});
      if (table == 2)
        database.run("INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, ?2, ?3, ?4)",
                     {a, b, c, d});
      if (table == 3)
        database.run(
            "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) "
            "VALUES (?1, ?2, ?3, ?4)",
            {a, b, c, d});
      if (table == 4)
        database.run(
            "INSERT INTO study_system_attributes (study_id, \"key\", value_json) VALUES (1, 'study:metric_names', ?1)",
            {a});
    } catch (const Error&) {  // what the schema refuses
    }
  }
  transaction.commit();
}

void must_hold(const std::vector<TrialRecord>& records, const SearchSpace& space) {
  for (const TrialRecord& record : records) {
    for (const auto& [name, value] : record.params) {
      const ParameterSpec* spec = space.find(name);
      if (spec == nullptr || !std::isfinite(number_of(*spec, value))) std::abort();
    }
    std::int64_t last = 0;
    for (const auto& [step, value] : record.values) {
      if (step <= last || step > 100 || !std::isfinite(value)) std::abort();
      last = step;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("SQLite"))
    write_file(bytes);
  else
    write_rows(bytes);
  const SearchSpace space{
      {{.name = "x", .low = 0, .high = 1}, {.name = "c", .choices = {std::string("a"), std::int64_t{8}}}}};
  try {
    const std::vector<WarmStudy> warm{warm_study(read_past_study(path()), {.space = space, .metric = "valid_loss"})};
    if (warm[0].trials.empty() || warm[0].lines.empty()) std::abort();
    must_hold(past_records(warm, Direction::minimize, 100), space);
  } catch (const Error&) {
  }
  unlink(path().c_str());
  return 0;
}
