// Who works on a study that lies in PostgreSQL: numbers, folders, signs of life. Each process is a worker with a number
// and a folder of its own, in which its run lies as any other does. A worker whose counter of beats has stood still for
// a minute, as the one who looks has seen it without losing the server meanwhile, is dead: its trials are free.
//
// The folders must be where all workers find them: what they have in common begins with the first one's, which has a
// file `study.token`. Whoever joins must see that file with what the database says.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "study/study_record.h"

namespace finetune {

struct WorkerRow {
  std::int64_t worker = 0;
  std::filesystem::path folder;
  std::string state;  ///< working, ended, lost
  std::int64_t beats = 0;
};
/// By number.
std::vector<WorkerRow> workers(Database& database);

/// How a study in PostgreSQL stands, before anything is begun.
struct StudyStanding {
  bool exists = false;    ///< one of ours; else the database has no study
  bool complete = false;  ///< some worker has written its results
  std::vector<WorkerRow> workers;
  std::map<std::string, std::string> settings;  ///< that all workers must have alike: by key
  std::string token;
};
/// Throws Error (bad_input) naming the address: no answer, another program's study.
StudyStanding standing_of(const std::string& url);

/// Adds a worker to a study that stands; its folder is `folder_of` its number. Throws Error (bad_input).
WorkerRow join_study(const std::string& url, const std::function<std::filesystem::path(std::int64_t)>& folder_of);

/// A worker that leaves nothing behind: with the only one the study goes too; else its trials are nobody's, and begin
/// again with whoever has room.
void withdraw(const RecordPlace& place);

/// A worker that comes back, or has ended.
void set_worker_state(Database& database, std::int64_t worker, const std::string& state);

/// Which workers are dead. Reads a steady clock.
class LifeWatch {
 public:
  explicit LifeWatch(std::chrono::milliseconds dead_after) : dead_after_(dead_after) {}
  /// Those that have not beaten since `dead_after` ago, of those that work.
  std::vector<WorkerRow> dead(const std::vector<WorkerRow>& all);
  /// The server was away: nobody could beat.
  void begin_again() { seen_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    std::int64_t beats = 0;
    Clock::time_point since;
  };
  std::chrono::milliseconds dead_after_;
  std::map<std::int64_t, Seen> seen_;
};

}  // namespace finetune
