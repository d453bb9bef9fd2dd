#include "core/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <exception>
#include <utility>

#include "core/error.h"
#include "core/folders.h"

namespace finetune {
namespace {

// Bytes that are kept to be written again; a file that nobody syncs syncs itself after as many.
constexpr std::size_t kMostKept = std::size_t{1} << 20;

constexpr int kAppendFlags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;

}  // namespace

AppendFile::AppendFile(const std::filesystem::path& path, OnDiskFault on_fault)
    : path_(path), on_fault_(std::move(on_fault)) {
  descriptor_ = Descriptor(disk_call(path_, "created", on_fault_,
                                     [&] { return ::open(path_.c_str(), kAppendFlags | O_CREAT | O_TRUNC, 0644); }));
}

AppendFile::AppendFile(const std::filesystem::path& path, std::uint64_t size, OnDiskFault on_fault)
    : path_(path), on_fault_(std::move(on_fault)), synced_(size) {
  descriptor_ = Descriptor(
      disk_call(path_, "opened", on_fault_, [&] { return ::open(path_.c_str(), kAppendFlags | O_NONBLOCK); }));
  struct stat info = {};
  if (::fstat(descriptor_.get(), &info) != 0 || !S_ISREG(info.st_mode))
    throw failed(path_.string(), "is not a regular file");
  const auto there = static_cast<std::uint64_t>(info.st_size);
  if (there < size)
    throw failed(path_.string(),
                 "has " + std::to_string(there) + " bytes, fewer than the " + std::to_string(size) + " it had");
  if (there > size) {
    disk_call(path_, "cut", on_fault_, [&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); });
  }
  hash_ = hash_of_beginning(path_, size);
}

AppendFile::~AppendFile() {
  on_fault_ = {};
  try {
    write_kept();
  } catch (
      const std::exception&) {  // a destructor has nobody to tell; the study flushes every round and would have heard
  }
}

void AppendFile::flush() {
  write_kept();
  if (kept_.size() > kMostKept) make_durable();
}

void AppendFile::sync() {
  write_kept();
  make_durable();
  if (has_durable_name_) return;
  sync_folder(path_.parent_path(), on_fault_);
  has_durable_name_ = true;
}

void AppendFile::write_kept() {
  while (written_ < kept_.size()) {
    const std::string_view left = std::string_view(kept_).substr(written_);
    const auto at = static_cast<off_t>(synced_ + written_);
    const auto put = [&] { return ::pwrite(descriptor_.get(), left.data(), left.size(), at); };
    written_ += static_cast<std::size_t>(disk_call(path_, "written", on_fault_, put, left.size()));
  }
}

// After an fsync that failed the system counts what it could not write as written, and the next one succeeds without
// it: so it is written again.
void AppendFile::make_durable() {
  disk_call(path_, "written to disk", on_fault_, [&] {
    write_kept();
    const int result = ::fsync(descriptor_.get());
    if (result != 0 && errno != EINTR) written_ = 0;
    return result;
  });
  synced_ += kept_.size();
  kept_.clear();
  written_ = 0;
}

}  // namespace finetune
