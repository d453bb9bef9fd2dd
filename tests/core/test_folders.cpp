// Names on a disk: made, renamed, removed, and links that are not followed.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Folders : public ::testing::Test {
 protected:
  std::size_t count(const fs::path& folder) const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  TemporaryFolder home_;
  const fs::path here_ = home_.path();
};

template <typename Call>
std::string failure(const Call& call) {
  return error_of(call, ErrorKind::failed);
}

TEST_F(Folders, AreMadeWithTheirParents) {
  make_folders(here_ / "a" / "b" / "c");
  make_folders(here_ / "a" / "b" / "c");
  make_folders(here_ / "a" / "d" / "");
  EXPECT_TRUE(fs::is_directory(here_ / "a" / "b" / "c"));
  EXPECT_TRUE(fs::is_directory(here_ / "a" / "d"));
  fs::create_directory_symlink("a", here_ / "link");
  make_folders(here_ / "link" / "e");
  EXPECT_TRUE(fs::is_directory(here_ / "a" / "e")) << "a folder may be reached through a link";
  make_folders(here_ / "link");
  write_file_atomically(here_ / "file", "");
  EXPECT_TRUE(holds(failure([&] { make_folders(here_ / "file"); }), "file: cannot be created: File exists"));
  EXPECT_TRUE(holds(failure([&] { make_folders(here_ / "file" / "x" / "y"); }), "file/x: cannot be created: Not a"));
  make_folders("/");
  make_folders(".");
}

TEST_F(Folders, AreRemovedWithoutFollowingLinks) {
  make_folders(here_ / "outside");
  write_file_atomically(here_ / "outside" / "precious", "1");
  make_folders(here_ / "run" / "deep");
  write_file_atomically(here_ / "run" / "deep" / "file", "2");
  fs::create_directory_symlink(here_ / "outside", here_ / "run" / "link");
  fs::create_directory_symlink(here_ / "outside", here_ / "top");
  remove_tree(here_ / "run");
  remove_tree(here_ / "top");
  remove_tree(here_ / "never was");
  EXPECT_EQ(count(here_), 1u);
  EXPECT_EQ(read_file(here_ / "outside" / "precious"), "1");
}

TEST_F(Folders, FilesAndLinksAreRemovedOneByOne) {
  write_file_atomically(here_ / "file", "1");
  fs::create_symlink("file", here_ / "link");
  remove_file(here_ / "link");
  EXPECT_EQ(read_file(here_ / "file"), "1");
  remove_file(here_ / "file");
  remove_file(here_ / "file");
  EXPECT_EQ(count(here_), 0u);
  make_folders(here_ / "folder");
  EXPECT_TRUE(holds(failure([&] { remove_file(here_ / "folder"); }), "folder: cannot be removed"));
}

TEST_F(Folders, RenamingReplacesFilesAndEmptyFolders) {
  make_folders(here_ / "new");
  write_file_atomically(here_ / "new" / "file", "1");
  make_folders(here_ / "there" / "old");
  rename_path(here_ / "new", here_ / "there" / "old");
  EXPECT_EQ(read_file(here_ / "there" / "old" / "file"), "1");
  make_folders(here_ / "other");
  EXPECT_TRUE(holds(failure([&] { rename_path(here_ / "other", here_ / "there" / "old"); }),
                    "there/old: cannot be renamed: Directory not empty"));
  EXPECT_TRUE(holds(failure([&] { rename_path(here_ / "none", here_ / "x"); }), "x: cannot be renamed: No such"));
}

TEST_F(Folders, AreSyncedAndSayWhenTheyAreMissing) {
  write_file_atomically(here_ / "file", "1");
  sync_file(here_ / "file");
  sync_folder(here_);
  sync_folder("");
  EXPECT_TRUE(holds(failure([&] { sync_file(here_ / "none"); }), "none: cannot be opened: No such file"));
  EXPECT_TRUE(holds(failure([&] { sync_folder(here_ / "none"); }), "none: cannot be written to disk: No such file"));
  EXPECT_TRUE(holds(failure([&] { sync_folder(here_ / "file"); }), "Not a directory"));
}

TEST_F(Folders, ATrialOfWritingLeavesNothing) {
  EXPECT_EQ(why_not_writable(here_), std::nullopt);
  EXPECT_EQ(count(here_), 0u);
  EXPECT_EQ(why_not_writable(here_ / "none"), "No such file or directory");
}

TEST_F(Folders, ALinkAnywhereBelowIsFound) {
  make_folders(here_ / "run" / "b" / "c");
  make_folders(here_ / "run" / "z");
  write_file_atomically(here_ / "run" / "a", "1");
  require_no_links(here_ / "run");
  fs::create_directory_symlink(here_ / "run", here_ / "to_run");
  require_no_links(here_ / "to_run");  // what lies below, not the folder itself
  fs::create_symlink("nowhere", here_ / "run" / "z" / "dangling");
  fs::create_directory_symlink("..", here_ / "run" / "b" / "c" / "up");
  const std::string message = error_of([&] { require_no_links(here_ / "run"); });
  EXPECT_TRUE(holds(message, "run/b/c/up: is a link; nothing outside the folder may be written")) << message;
  EXPECT_TRUE(holds(error_of([&] { require_no_links(here_ / "none"); }), "none: cannot be read"));
}

}  // namespace
}  // namespace finetune::testing
