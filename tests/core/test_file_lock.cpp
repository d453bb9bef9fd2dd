// A lock: one holder, in this process and among processes, whatever happens to the file meanwhile.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Locks : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const fs::path path_ = folder_.path() / "lock";
};

TEST_F(Locks, OneHasItAndTheFileGoesWithIt) {
  {
    const auto held = FileLock::try_lock(path_);
    ASSERT_TRUE(held);
    EXPECT_EQ(held->path(), path_);
    EXPECT_TRUE(fs::exists(path_));
    EXPECT_FALSE(FileLock::try_lock(path_));
    EXPECT_TRUE(fs::exists(path_)) << "who did not get it takes nothing away";
  }
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_TRUE(FileLock::try_lock(path_));
}

TEST_F(Locks, MovesAndIsLetGoOnce) {
  auto first = FileLock::try_lock(path_);
  FileLock second = std::move(*first);
  first.reset();
  EXPECT_FALSE(FileLock::try_lock(path_));
  auto other = FileLock::try_lock(folder_.path() / "other");
  second = std::move(*other);
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_TRUE(fs::exists(folder_.path() / "other"));
}

TEST_F(Locks, AFileThatSomebodyElseMadeMeanwhileStays) {
  auto held = FileLock::try_lock(path_);
  fs::remove(path_);
  write_file_atomically(path_, "another");
  held.reset();
  EXPECT_EQ(read_file(path_), "another");
}

TEST_F(Locks, DiesWithAKilledProcess) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto held = FileLock::try_lock(path_);
    if (!held || write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char got = 0;
  ASSERT_EQ(read(ready[0], &got, 1), 1);
  EXPECT_FALSE(FileLock::try_lock(path_));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(path_));
  EXPECT_TRUE(FileLock::try_lock(path_)) << "what it left is taken over";
  close(ready[0]);
  close(ready[1]);
}

// Holders remove the file while others have it open: nobody may get hold of one that has lost its name.
TEST_F(Locks, NobodyGetsItTwice) {
  std::atomic<int> holders{0}, most{0}, taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3000; ++round) {
        const auto held = FileLock::try_lock(path_);
        if (!held) continue;
        const int now = ++holders;
        if (now > most) most = now;
        ++taken;
        std::this_thread::yield();
        --holders;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_GT(taken, 0);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(Locks, SayWhatIsInTheWay) {
  const auto message = [](const fs::path& path) -> std::string {
    try {
      FileLock::try_lock(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(folder_.path() / "none" / "lock").find("none/lock: cannot be created: No such"), std::string::npos);
  fs::create_symlink("elsewhere", path_);
  EXPECT_NE(message(path_).find("lock: cannot be created"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_.path() / "elsewhere"));
}

}  // namespace
}  // namespace finetune::testing
