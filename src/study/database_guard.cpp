#include "study/database_guard.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 30;
constexpr int kInstructions = 1000;  // from one look at the limit to the next

// Checking and reading a row are tens of instructions, and a row is tens of bytes.
constexpr std::int64_t kInstructionsPerByte = 64, kInstructionsOfAny = 10'000'000;

constexpr std::pair<int, int> kLimits[] = {
    {SQLITE_LIMIT_LENGTH, 16 << 20},     {SQLITE_LIMIT_SQL_LENGTH, 100'000}, {SQLITE_LIMIT_COLUMN, 100},
    {SQLITE_LIMIT_EXPR_DEPTH, 50},       {SQLITE_LIMIT_COMPOUND_SELECT, 3},  {SQLITE_LIMIT_VDBE_OP, 25'000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},      {SQLITE_LIMIT_ATTACHED, 0},         {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 100}, {SQLITE_LIMIT_TRIGGER_DEPTH, 1},    {SQLITE_LIMIT_WORKER_THREADS, 0}};

constexpr std::pair<int, int> kSwitches[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},  {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0}, {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},     {SQLITE_DBCONFIG_DQS_DML, 0}};

// Bytes 18 and 19 of the header are 2 in a database that has a log.
bool has_wal_header(const fs::path& file) {
  char header[20] = {};
  std::ifstream(file, std::ios::binary).read(header, sizeof header);
  return header[18] == 2 || header[19] == 2;
}

bool is_quiet(const fs::path& file) {
  std::error_code error;
  const fs::path log = file.string() + "-wal";
  return has_wal_header(file) && (!fs::exists(log, error) || fs::file_size(log, error) == 0);
}

int spend(void* limit) {
  auto& left = static_cast<WorkLimit*>(limit)->left;
  left -= kInstructions;
  return left < 0 ? 1 : 0;
}

}  // namespace

void require_plain_file(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (status.type() == fs::file_type::none) throw bad_input(file.string(), error.message());
  if (!fs::exists(status)) throw bad_input(file.string(), "does not exist");
  if (!fs::is_regular_file(status)) throw bad_input(file.string(), "is not a file");
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) throw bad_input(file.string(), error.message());
  if (size > kMostBytes)
    throw bad_input(file.string(),
                    fmt::format("is a database of {} MiB; at most {} are read", size >> 20, kMostBytes >> 20));
}

std::string reading_uri(const fs::path& file) {
  std::string uri = "file:";
  for (const char c : fs::absolute(file).string()) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/';
    uri += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return uri + (is_quiet(file) ? "?immutable=1" : "");
}

void harden(sqlite3* connection) {
  for (const auto& [limit, value] : kLimits) sqlite3_limit(connection, limit, value);
  for (const auto& [option, value] : kSwitches) sqlite3_db_config(connection, option, value, nullptr);
}

std::unique_ptr<WorkLimit> limit_work(sqlite3* connection, const fs::path& file) {
  std::error_code error;
  std::int64_t bytes = 0;
  for (const char* part : {"", "-wal"}) {
    const std::uintmax_t size = fs::file_size(file.string() + part, error);
    if (!error) bytes += static_cast<std::int64_t>(std::min(size, kMostBytes));
  }
  auto limit = std::make_unique<WorkLimit>(WorkLimit{kInstructionsOfAny + kInstructionsPerByte * bytes});
  sqlite3_progress_handler(connection, kInstructions, spend, limit.get());
  return limit;
}

void stop_limiting(sqlite3* connection) {
  sqlite3_progress_handler(connection, 0, nullptr, nullptr);
}

}  // namespace finetune
