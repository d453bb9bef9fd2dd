#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "engine/short_waits.h"

namespace finetune {
namespace {

std::int64_t threads_of_process() {
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST(ShortWaits, HoldMoreThreadsThanThereAreProcessorsAndGiveThemBack) {
  unsetenv("GOMP_SPINCOUNT");
  unsetenv("OMP_WAIT_POLICY");
  const std::int64_t before = threads_of_process();
  {
    const ShortWaits waits;
    EXPECT_GT(threads_of_process(), static_cast<std::int64_t>(std::thread::hardware_concurrency()));
    EXPECT_GT(threads_of_process(), before + 1);  // the owner alone would be no team
  }
  // The library's threads end a moment after their owner: a minute, for the slowest machine.
  for (int i = 0; i < 6000 && threads_of_process() > before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(threads_of_process(), before);
}

TEST(ShortWaits, LeaveAUsersSettingAlone) {
  setenv("GOMP_SPINCOUNT", "5", 1);
  const std::int64_t before = threads_of_process();
  const ShortWaits waits;
  EXPECT_EQ(threads_of_process(), before);
}

}  // namespace
}  // namespace finetune
