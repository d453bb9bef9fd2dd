#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

// Whether the file that is open still has this name: whoever had the lock may have removed it after it was opened.
bool has_name(int descriptor, const std::filesystem::path& path) {
  struct stat open = {}, named = {};
  return ::fstat(descriptor, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

// False when somebody has it.
bool lock(int descriptor, const std::filesystem::path& path) {
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR)
      throw failed(path.string(),
                   std::string("cannot be locked: ") + std::strerror(errno) + "; does its file system have locks?");
  }
  return true;
}

}  // namespace

std::optional<FileLock> FileLock::try_lock(const std::filesystem::path& path) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  for (;;) {
    Descriptor file(disk_call(path, "created", {}, [&] { return ::open(path.c_str(), kFlags, 0644); }));
    if (!lock(file.get(), path)) return std::nullopt;
    if (has_name(file.get(), path)) return FileLock(path, std::move(file));
  }
}

FileLock::FileLock(std::filesystem::path path, Descriptor descriptor)
    : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

FileLock::~FileLock() {
  release();
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  path_ = std::move(other.path_);
  descriptor_ = std::move(other.descriptor_);
  return *this;
}

// The name goes while the lock is held: who opened the file before finds out (has_name), who comes after makes another.
void FileLock::release() {
  if (descriptor_.get() < 0) return;
  if (has_name(descriptor_.get(), path_)) ::unlink(path_.c_str());
  descriptor_.close();
}

}  // namespace finetune
