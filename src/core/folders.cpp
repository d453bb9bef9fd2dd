#include "core/folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "core/disk_call.h"
#include "core/error.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

// "a/b/" is a folder in a, as "a/b" is.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() || !path.has_relative_path() ? path : path.parent_path();
}

// 0 also when somebody else was first.
int make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return 0;
  const int code = errno;
  struct stat info = {};
  if (code == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return 0;
  errno = code;
  return -1;
}

// Whether this file system has no such thing as a sync of a folder.
bool cannot_sync(int code) {
  return code == EINVAL || code == ENOTSUP || code == ENOSYS || code == EBADF;
}

}  // namespace

void make_folders(const fs::path& path, const OnDiskFault& on_fault) {
  std::vector<fs::path> missing;
  std::error_code error;
  fs::path folder = without_slash(path);
  while (!folder.empty() && !fs::exists(folder, error) && folder != folder.parent_path()) {
    missing.push_back(folder);
    folder = without_slash(folder.parent_path());
  }
  if (missing.empty()) missing.push_back(without_slash(path));
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    disk_call(*next, "created", on_fault, [&] { return make_folder(*next); });
    sync_folder(next->parent_path(), on_fault);
  }
}

void remove_file(const fs::path& path, const OnDiskFault& on_fault) {
  disk_call(path, "removed", on_fault, [&] { return ::unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : -1; });
}

void touch_file(const fs::path& path) {
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

void remove_tree(const fs::path& path, const OnDiskFault& on_fault) {
  disk_call(path, "removed", on_fault, [&] {
    std::error_code error;
    fs::remove_all(path, error);
    errno = error.value();
    return error ? -1 : 0;
  });
}

void rename_path(const fs::path& from, const fs::path& to, const OnDiskFault& on_fault) {
  disk_call(to, "renamed", on_fault, [&] { return ::rename(from.c_str(), to.c_str()); });
  const fs::path old_folder = without_slash(from).parent_path(), new_folder = without_slash(to).parent_path();
  sync_folder(new_folder, on_fault);
  if (old_folder != new_folder) sync_folder(old_folder, on_fault);
}

void sync_file(const fs::path& path) {
  const Descriptor file(disk_call(path, "opened", {}, [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  disk_call(path, "written to disk", {}, [&] { return ::fsync(file.get()); });
}

void sync_folder(const fs::path& path, const OnDiskFault& on_fault) {
  const fs::path folder = path.empty() ? fs::path(".") : path;
  disk_call(folder, "written to disk", on_fault, [&] {
    const Descriptor names(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (names.get() < 0) return errno == EACCES ? 0 : -1;
    return ::fsync(names.get()) == 0 || cannot_sync(errno) ? 0 : -1;
  });
}

std::optional<std::string> why_not_writable(const fs::path& folder) {
  std::string made = (folder / (std::string(kTriedName) + "XXXXXX")).string();
  if (::mkdtemp(made.data()) == nullptr) return std::strerror(errno);
  ::rmdir(made.c_str());
  return std::nullopt;
}

void require_no_links(const fs::path& folder) {
  std::optional<fs::path> first;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_symlink() && (!first || entry.path() < *first)) first = entry.path();
    }
  } catch (const fs::filesystem_error& error) {
    throw bad_input(error.path1().empty() ? folder.string() : error.path1().string(),
                    "cannot be read: " + error.code().message());
  }
  if (first) throw bad_input(first->string(), "is a link; nothing outside the folder may be written");
}

TemporaryFolder::TemporaryFolder() {
  std::error_code none;
  std::string name = (std::filesystem::temp_directory_path(none) / "finetune_tune-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw failed(name, std::string("cannot be made: ") + std::strerror(errno));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  try {
    remove_tree(path_);
  } catch (const std::exception&) {  // it stays; there is nobody to tell
  }
}

}  // namespace finetune
