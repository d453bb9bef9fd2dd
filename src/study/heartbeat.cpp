#include "study/heartbeat.h"

#include <exception>
#include <optional>
#include <utility>

namespace finetune {

Heartbeat::Heartbeat(RecordPlace place, std::chrono::milliseconds every, std::chrono::milliseconds dead_after)
    : place_(std::move(place)), every_(every), watch_(dead_after), thread_([this] { beat(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

std::vector<WorkerRow> Heartbeat::dead() {
  const std::lock_guard lock(mutex_);
  return dead_;
}

// Nothing is said here: whoever writes finds the server away too, and says it once.
void Heartbeat::beat() {
  std::optional<Database> database;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, every_, [this] { return over_; })) {
    lock.unlock();
    std::vector<WorkerRow> dead;
    try {
      if (!database) database.emplace(place_.database);
      database->run("UPDATE ft_workers SET beats = beats + 1 WHERE worker = ?1 AND state = 'working'", {place_.worker});
      database->run(
          "INSERT INTO trial_heartbeats (trial_id, heartbeat) SELECT trials.trial_id, CURRENT_TIMESTAMP FROM trials "
          "JOIN ft_trials USING (trial_id) WHERE worker = ?1 AND state = 'RUNNING' ON CONFLICT (trial_id) DO UPDATE "
          "SET "
          "heartbeat = excluded.heartbeat",
          {place_.worker});
      dead = watch_.dead(workers(*database));
    } catch (const std::exception&) {  // while the server is away nobody can beat
      database.reset();
      watch_.begin_again();
    }
    lock.lock();
    dead_ = std::move(dead);
  }
}

}  // namespace finetune
