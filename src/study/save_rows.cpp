#include "study/save_rows.h"

#include <utility>

#include "core/error.h"
#include "study/saves.h"

namespace finetune {
namespace {

// A column of another type than the one it was made with: somebody else wrote it.
template <typename T>
const T& column(const SqlRow& row, std::size_t i, const char* table) {
  const T* value = std::get_if<T>(&row.at(i));
  if (value == nullptr) throw bad_input("study.db", std::string(table) + " is damaged");
  return *value;
}

}  // namespace

SaveRows::SaveRows(const std::filesystem::path& run, OnDiskFault on_fault, Access access)
    : on_fault_(std::move(on_fault)), database_(run / "study.db", access) {
  database_.execute("PRAGMA synchronous = FULL");
}

void SaveRows::add(const SaveRow& row) {
  transact(database_, on_fault_, [&] {
    database_.run("DELETE FROM ft_saves WHERE save_id < (SELECT max(save_id) FROM ft_saves)");
    database_.run("INSERT INTO ft_saves (round, file, bytes, hash) VALUES (?1, ?2, ?3, ?4)",
                  {row.round, row.name, static_cast<std::int64_t>(row.written.bytes), row.written.hash});
  });
}

std::vector<SaveRow> SaveRows::saves() {
  const char* table = "ft_saves";
  std::vector<SaveRow> saves;
  for (const SqlRow& row :
       database_.run("SELECT round, file, bytes, hash FROM ft_saves ORDER BY save_id DESC LIMIT 2")) {
    saves.push_back({.round = column<std::int64_t>(row, 0, table),
                     .name = column<std::string>(row, 1, table),
                     .written = {.hash = column<std::string>(row, 3, table),
                                 .bytes = static_cast<std::uint64_t>(column<std::int64_t>(row, 2, table))}});
  }
  return saves;
}

void SaveRows::forget_after(std::int64_t round) {
  transact(database_, on_fault_, [&] { database_.run("DELETE FROM ft_saves WHERE round > ?1", {round}); });
}

void SaveRows::set_fact(const std::string& key, const std::string& value) {
  transact(database_, on_fault_, [&] {
    database_.run("INSERT OR REPLACE INTO ft_run (key, value) VALUES (?1, ?2)", {key, value});
  });
}

std::map<std::string, std::string> SaveRows::facts() {
  std::map<std::string, std::string> facts;
  for (const SqlRow& row : database_.run("SELECT key, value FROM ft_run LIMIT 1000"))
    facts[column<std::string>(row, 0, "ft_run")] = column<std::string>(row, 1, "ft_run");
  return facts;
}

}  // namespace finetune
