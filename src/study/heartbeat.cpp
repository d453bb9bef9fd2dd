#include "study/heartbeat.h"

#include <exception>
#include <optional>
#include <utility>

namespace finetune {

Heartbeat::Heartbeat(RecordPlace place, std::chrono::milliseconds every)
    : place_(std::move(place)), every_(every), thread_([this] { beat(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

// Nothing is said here: whoever writes finds the server away too, and says it once.
void Heartbeat::beat() {
  std::optional<Database> database;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, every_, [this] { return over_; })) {
    lock.unlock();
    try {
      if (!database) database.emplace(place_.database);
      database->run("UPDATE ft_workers SET beats = beats + 1 WHERE worker = ?1 AND state = 'working'", {place_.worker});
      database->run(
          "INSERT INTO trial_heartbeats (trial_id, heartbeat) SELECT trials.trial_id, CURRENT_TIMESTAMP FROM trials "
          "JOIN ft_trials USING (trial_id) WHERE worker = ?1 AND state = 'RUNNING' ON CONFLICT (trial_id) DO UPDATE "
          "SET "
          "heartbeat = excluded.heartbeat",
          {place_.worker});
    } catch (const std::exception&) {
      database.reset();
    }
    lock.lock();
  }
}

}  // namespace finetune
