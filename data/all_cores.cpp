#include "data/all_cores.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace finetune {

std::size_t core_count() {
  cpu_set_t set;
  const int usable = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  return usable > 0 ? static_cast<std::size_t>(usable) : std::max(1u, std::thread::hardware_concurrency());
}

void on_all_cores(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr thrown;
  std::once_flag first;
  const auto take_turns = [&] {
    try {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) work(i);
    } catch (...) {
      next = count;
      std::call_once(first, [&] { thrown = std::current_exception(); });
    }
  };
  const std::size_t useful = std::min(core_count(), count);
  std::vector<std::jthread> others;
  try {
    while (others.size() + 1 < useful) others.emplace_back(take_turns);
  } catch (const std::system_error&) {  // no memory for another thread
  }
  take_turns();
  others.clear();  // waits for them
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace finetune
