// What stands between this program and a database that somebody else wrote: limits of SQLite's own, nothing in the file
// that runs (triggers, views, functions that its schema names), a bound on size and on work, no change of its folder.
// Source: https://www.sqlite.org/security.html, "Untrusted SQLite Database Files"; https://www.sqlite.org/wal.html,
// "Read-Only Databases".
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

struct sqlite3;

namespace finetune {

/// Throws Error (bad_input) naming `file` unless it is a regular file of at most 1 GiB.
void require_plain_file(const std::filesystem::path& file);

/// The name to open `file` by for reading. Opening a WAL database makes files beside it, or fails where the folder
/// cannot be written; one without a log has no writer, so it is read as one that does not change.
std::string reading_uri(const std::filesystem::path& file);

/// Limits of texts, expressions and programs; no triggers, views, extensions or writes past the pager.
void harden(sqlite3* connection);

/// Instructions of SQLite's machine that are left: a file can make few rows cost any time.
struct WorkLimit {
  std::int64_t left;
};

/// From now on a statement that goes beyond what a file of this size can need ends with SQLITE_INTERRUPT. The
/// connection asks the limit until stop_limiting, or its end.
std::unique_ptr<WorkLimit> limit_work(sqlite3* connection, const std::filesystem::path& file);
void stop_limiting(sqlite3* connection);

}  // namespace finetune
