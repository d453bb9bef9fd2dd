#include "host/disk_wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

constexpr std::chrono::milliseconds kAsk{100};
constexpr int kAsksPerTry = 10;  // a second

std::uint64_t free_at(const std::filesystem::path& path) {
  std::error_code error;
  const auto space = std::filesystem::space(path.has_parent_path() ? path.parent_path() : ".", error);
  return error ? 0 : space.available;
}

struct CountedIn {
  explicit CountedIn(std::atomic<int>& all) : count(all) { ++count; }
  ~CountedIn() { --count; }
  CountedIn(const CountedIn&) = delete;
  CountedIn& operator=(const CountedIn&) = delete;
  std::atomic<int>& count;
};

}  // namespace

std::string fault_text(const DiskFault& fault, std::uint64_t free_bytes) {
  const auto kib = [](std::uint64_t bytes) { return (bytes + 1023) / 1024; };
  if (fault.code == EBUSY) return fault.path.string() + ": another process holds it locked";
  if (fault.code == ENOTCONN) return fault.path.string() + ": the server does not answer";
  std::string text = fault.path.string() + ": " + std::strerror(fault.code);
  if (fault.code != ENOSPC && fault.code != EDQUOT) return text;
  if (fault.bytes > 0) text += fmt::format(": {} KiB are to be written,", kib(fault.bytes));
  return text + fmt::format(" {} KiB are free", kib(free_bytes));
}

DiskWait::DiskWait(std::function<void(const std::string&)> say, std::function<bool()> stop)
    : say_(std::move(say)), stop_(std::move(stop)) {}

OnDiskFault DiskWait::handler() {
  return [this](const DiskFault& fault) { return wait(fault); };
}

bool DiskWait::wait(const DiskFault& fault) {
  const CountedIn counted(waiters_);
  {
    const std::lock_guard lock(mutex_);
    const std::string text = fault_text(fault, free_at(fault.path));
    if (!std::exchange(waiting_, true) && say_)
      say_(text + "; the run waits and goes on when it can be written (Ctrl-C ends it; what was saved before stays)");
  }
  for (int ask = 0; ask < kAsksPerTry; ++ask) {
    if (stop_ && stop_())
      throw Error(ErrorKind::interrupted, fault.path.string(),
                  std::string(std::strerror(fault.code)) + "; interrupted while waiting; what was saved before stays");
    std::this_thread::sleep_for(kAsk);
  }
  return true;
}

void DiskWait::on_round(std::int64_t) {
  const std::lock_guard lock(mutex_);
  if (waiters_ > 0) return;
  if (std::exchange(waiting_, false) && say_) say_("what was waiting is written; the run goes on");
}

}  // namespace finetune
