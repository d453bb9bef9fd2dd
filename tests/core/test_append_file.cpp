// A file that grows: what is in it after faults, and when another process goes on with it.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "core/append_file.h"
#include "core/error.h"
#include "core/files.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Appended : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const fs::path path_ = folder_.path() / "log";
};

template <typename Call>
std::string failure(const Call& call) {
  return error_of(call, ErrorKind::failed);
}

TEST_F(Appended, IsBufferedAndCountsWhatIs) {
  write_file_atomically(path_, "what was there");
  AppendFile file(path_);
  EXPECT_EQ(read_file(path_), "");
  file.add("one ");
  EXPECT_EQ(file.size(), 4u);
  EXPECT_EQ(read_file(path_), "");
  file.flush();
  EXPECT_EQ(read_file(path_), "one ");
  file.sync();
  file.add("two ");
  file.sync();
  file.add("three");
  EXPECT_EQ(file.size(), 13u);
  EXPECT_EQ(file.path(), path_);
  file.flush();
  file.flush();
  EXPECT_EQ(read_file(path_), "one two three");
}

TEST_F(Appended, KeepsNoMoreThanItHasTo) {
  AppendFile file(path_);
  std::string all;
  for (int i = 0; i < 40; ++i) {  // beyond what is kept for another try, twice
    const std::string part(65537, static_cast<char>('a' + i % 26));
    all += part;
    file.add(part);
    file.flush();
    ASSERT_EQ(file.size(), all.size());
  }
  EXPECT_EQ(read_file(path_), all);
}

TEST_F(Appended, GoesOnWhereItIsTold) {
  write_file_atomically(path_, "kept, and more");
  {
    AppendFile file(path_, 4);
    EXPECT_EQ(file.size(), 4u);
    EXPECT_EQ(read_file(path_), "kept");
    file.add("!");
  }  // the end of it writes what is left
  EXPECT_EQ(read_file(path_), "kept!");
  { AppendFile file(path_, 5); }
  EXPECT_EQ(read_file(path_), "kept!");
  EXPECT_TRUE(holds(failure([&] { AppendFile file(path_, 6); }), "log: has 5 bytes, fewer than the 6 it had"));
  EXPECT_TRUE(holds(failure([&] { AppendFile file(folder_.path() / "none", 0); }), "none: cannot be opened: No such"));
  EXPECT_EQ(read_file(path_), "kept!");
}

TEST_F(Appended, FollowsNoLink) {
  write_file_atomically(folder_.path() / "elsewhere", "precious");
  fs::create_symlink("elsewhere", path_);
  EXPECT_TRUE(holds(failure([&] { AppendFile file(path_); }), "log: cannot be created"));
  EXPECT_TRUE(holds(failure([&] { AppendFile file(path_, 0); }), "log: cannot be opened"));
  EXPECT_EQ(read_file(folder_.path() / "elsewhere"), "precious");
}

// /dev/full takes nothing: a full disk that every machine has.
TEST(FullDisk, IsAskedAboutUntilNobodyWaits) {
  std::vector<DiskFault> faults;
  AppendFile file("/dev/full", [&](const DiskFault& fault) {
    faults.push_back(fault);
    return faults.size() < 3;
  });
  file.add("12345");
  EXPECT_TRUE(holds(failure([&] { file.flush(); }), "/dev/full: cannot be written: No space left on device"));
  ASSERT_EQ(faults.size(), 3u);
  EXPECT_EQ(faults[0].path, "/dev/full");
  EXPECT_EQ(faults[0].code, ENOSPC);
  EXPECT_EQ(faults[0].bytes, 5u);
  EXPECT_EQ(file.size(), 5u) << "it is still to be written";
  EXPECT_NE(failure([&] { file.flush(); }), "");
  EXPECT_EQ(faults.size(), 4u);
}

TEST(FullDisk, MayEndInWhatTheCallerThrowsButNotInADestructor) {
  int asked = 0;
  {
    AppendFile file("/dev/full", [&](const DiskFault&) -> bool {
      ++asked;
      throw Interrupted{};
    });
    file.add("1");
    EXPECT_THROW(file.flush(), Interrupted);
  }
  EXPECT_EQ(asked, 1);
}

TEST(DiskFault, OnlyWhatMayGoAwayIsAsked) {
  EXPECT_TRUE(may_go_away(ENOSPC) && may_go_away(EDQUOT) && may_go_away(EIO) && may_go_away(EROFS));
  EXPECT_FALSE(may_go_away(ENOENT) || may_go_away(ENOTDIR) || may_go_away(ENAMETOOLONG) || may_go_away(ELOOP));
  int asked = 0;
  const OnDiskFault never = [&](const DiskFault&) { return ++asked < 100; };
  EXPECT_TRUE(holds(failure([&] {
                      settle_fault({"a/b", ENOENT}, "created", never);
                    }),
                    "a/b: cannot be created: No such file or directory"));
  EXPECT_EQ(asked, 0);
  settle_fault({"a/b", ENOSPC}, "created", never);
  EXPECT_EQ(asked, 1);
  EXPECT_NE(failure([&] { settle_fault({"a/b", ENOSPC}, "created", {}); }), "");
}

}  // namespace
}  // namespace finetune::testing
