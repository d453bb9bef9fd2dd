// What is said while a disk takes nothing, by whichever thread finds out.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "host/disk_wait.h"

namespace finetune::testing {
namespace {

struct Told {
  std::vector<std::string> lines;
  std::atomic<bool> stop = false;
  DiskWait disk{[this](const std::string& line) { lines.push_back(line); }, [this] { return stop.load(); }};
};

TEST(DiskWait, IsSaidOnceAndWhenItIsOver) {
  Told told;
  const OnDiskFault on_fault = told.disk.handler();
  EXPECT_TRUE(on_fault({.path = "run/study.db", .code = ENOSPC}));
  EXPECT_TRUE(on_fault({.path = "run/study.db", .code = ENOSPC}));
  ASSERT_EQ(told.lines.size(), 1u);
  EXPECT_NE(told.lines[0].find("run/study.db: No space left on device"), std::string::npos) << told.lines[0];
  told.disk.on_round(1);
  told.disk.on_round(2);
  ASSERT_EQ(told.lines.size(), 2u);
  EXPECT_EQ(told.lines[1], "what was waiting is written; the run goes on");
}

// A round that came through just before the disk was full says nothing of a save that waits beside it.
TEST(DiskWait, IsNotOverWhileAnotherThreadWaits) {
  Told told;
  std::atomic<bool> waits = false;
  std::thread save([&] {
    const OnDiskFault on_fault = told.disk.handler();
    waits = true;
    EXPECT_THROW(while (on_fault({.path = "run/saves/state", .code = ENOSPC})){}, Error);
  });
  while (!waits) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  told.disk.on_round(1);
  told.stop = true;
  save.join();
  EXPECT_EQ(told.lines.size(), 1u) << told.lines.back();
}

}  // namespace
}  // namespace finetune::testing
