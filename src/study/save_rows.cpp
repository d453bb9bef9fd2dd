#include "study/save_rows.h"

#include <utility>

#include "core/error.h"
#include "study/saves.h"

namespace finetune {
namespace {

// A column of another type than the one it was made with: somebody else wrote it.
template <typename T>
const T& column(const SqlRow& row, std::size_t i, const std::string& where, const char* table) {
  const T* value = std::get_if<T>(&row.at(i));
  if (value == nullptr) throw bad_input(where, std::string(table) + " is damaged");
  return *value;
}

}  // namespace

SaveRows::SaveRows(const RecordPlace& place, OnDiskFault on_fault, Access access)
    : worker_(place.worker), on_fault_(std::move(on_fault)), database_(opened(place.database, on_fault_, access)) {
  database_.make_durable();
}

void SaveRows::add(const SaveRow& row) {
  transact(database_, on_fault_, [&] {
    database_.run(
        "DELETE FROM ft_saves WHERE worker = ?1 AND save_id < (SELECT max(save_id) FROM ft_saves WHERE worker = ?1)",
        {worker_});
    database_.run("INSERT INTO ft_saves (round, file, bytes, hash, worker) VALUES (?1, ?2, ?3, ?4, ?5)",
                  {row.round, row.name, static_cast<std::int64_t>(row.written.bytes), row.written.hash, worker_});
  });
}

std::vector<SaveRow> SaveRows::saves() {
  const char* table = "ft_saves";
  std::vector<SaveRow> saves;
  for (const SqlRow& row :
       database_.run("SELECT round, file, bytes, hash FROM ft_saves WHERE worker = ?1 ORDER BY save_id DESC LIMIT 2",
                     {worker_})) {
    saves.push_back(
        {.round = column<std::int64_t>(row, 0, database_.place(), table),
         .name = column<std::string>(row, 1, database_.place(), table),
         .written = {.hash = column<std::string>(row, 3, database_.place(), table),
                     .bytes = static_cast<std::uint64_t>(column<std::int64_t>(row, 2, database_.place(), table))}});
  }
  return saves;
}

void SaveRows::forget_after(std::int64_t round) {
  transact(database_, on_fault_, [&] {
    database_.run("DELETE FROM ft_saves WHERE worker = ?2 AND round > ?1", {round, worker_});
  });
}

void SaveRows::set_fact(const std::string& key, const std::string& value) {
  transact(database_, on_fault_, [&] {
    database_.run(
        "INSERT INTO ft_run (worker, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (worker, key) DO UPDATE SET value = "
        "excluded.value",
        {worker_, key, value});
  });
}

std::map<std::string, std::string> SaveRows::facts() {
  std::map<std::string, std::string> facts;
  for (const SqlRow& row : database_.run("SELECT key, value FROM ft_run WHERE worker = ?1 LIMIT 1000", {worker_}))
    facts[column<std::string>(row, 0, database_.place(), "ft_run")] =
        column<std::string>(row, 1, database_.place(), "ft_run");
  return facts;
}

}  // namespace finetune
