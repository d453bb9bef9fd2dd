// Names on a disk: folders made, files and trees removed, things renamed, and all of it made to survive a power cut.
// What throws is Error (failed) naming the path, after `on_fault` was asked (core/disk_fault.h); what `on_fault`
// throws passes. Any thread; two that work on the same names are the callers' business.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/disk_fault.h"

namespace finetune {

/// The folder with its parents, where they are missing. Every folder in which one was made is synced; the one that
/// `path` lies in also when `path` was there, for a process that was killed may not have come to it.
void make_folders(const std::filesystem::path& path, const OnDiskFault& on_fault = {});

/// A file or a link itself; none there is fine. It may be back after a power cut until its folder is synced.
void remove_file(const std::filesystem::path& path, const OnDiskFault& on_fault = {});

/// A file was used now: the time of its last change is this. One that cannot be changed keeps its own.
void touch_file(const std::filesystem::path& path);

/// Whatever is there with everything in it; links are removed, not followed; nothing there is fine. As durable as
/// remove_file.
void remove_tree(const std::filesystem::path& path, const OnDiskFault& on_fault = {});

/// rename(2), which replaces a file or an empty folder, and a sync of the folders of both names. The content is the
/// caller's to have synced.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to, const OnDiskFault& on_fault = {});

/// The content of a file that was written by somebody else, such as SQLite. A sync that failed is not tried again:
/// the system forgets what it could not write.
void sync_file(const std::filesystem::path& path);

/// The names in a folder ("" is the working directory). A folder that may not be read, and a file system that syncs
/// no folders, are left to the system.
void sync_folder(const std::filesystem::path& path, const OnDiskFault& on_fault = {});

/// A folder of a new name below the system's folder for temporary files, which nobody else may enter; gone with
/// everything in it when destroyed.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Why nothing can be made in a folder: tried, with a folder of a new name that is removed again. None where it can.
std::optional<std::string> why_not_writable(const std::filesystem::path& folder);

/// How such a new name begins; a process that was killed may have left one.
inline constexpr const char* kTriedName = ".finetune_tune-";

/// Throws Error (bad_input) naming the first symbolic link, by name, anywhere below `folder`, or what cannot be read.
void require_no_links(const std::filesystem::path& folder);

}  // namespace finetune
