// What happens to a program's writes, as its environment says it; the manual is in faults.cpp. Everything here is
// called with the lock of faults.cpp held.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace faults {

/// What a power cut would leave, kept in a folder: contents and listings as they were last synced.
class Shadow {
 public:
  /// Goes on with what is in `place`; a new one takes what lies below `root` now as durable.
  Shadow(std::filesystem::path place, const std::filesystem::path& root);
  /// A file or folder was made under an inode that may have had another life.
  void made(const struct stat& info);
  /// An fsync of this descriptor succeeded.
  void synced(int descriptor);

 private:
  std::string key_of(const struct stat& info) const;
  void keep_file(const std::filesystem::path& path, const struct stat& info);
  void keep_folder(const std::filesystem::path& path, const struct stat& info);
  void keep_tree(const std::filesystem::path& path);

  std::filesystem::path place_;
  std::map<std::string, std::uint64_t> generations_;  // of inodes that were made while somebody looked
};

/// What the environment asks for, and how far the program has come.
class Plan {
 public:
  Plan();
  bool is_on() const { return !root_.empty(); }
  /// The path from FAULTS_UNDER, none outside.
  std::optional<std::string> below(const std::filesystem::path& path) const;
  /// Counts a change and logs it. Kills the process where that is due; else 0, or the errno that it fails with if
  /// it `writes`. `text` is what the log says of it.
  int begin(const std::string& text, bool writes);
  /// Whether the change that has begun is to be cut in half.
  bool is_torn() const { return count_ == torn_; }
  /// The change has been made.
  void end() const;
  [[noreturn]] static void kill_process();
  int delay_ms() const { return delay_ms_; }
  Shadow* shadow() { return shadow_ ? &*shadow_ : nullptr; }

 private:
  bool fails() const;

  std::filesystem::path root_;
  std::string errno_file_;
  int log_ = -1, errno_ = 0, delay_ms_ = 0;
  std::uint64_t count_ = 0, kill_ = 0, kill_after_ = 0, torn_ = 0, from_ = UINT64_MAX, to_ = UINT64_MAX;
  std::optional<Shadow> shadow_;
};

}  // namespace faults
