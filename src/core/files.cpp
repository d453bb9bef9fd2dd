#include "core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/folders.h"

namespace finetune {
namespace {

// The name of a file that is being written, before the number of its process.
constexpr std::string_view kUnfinished = ".tmp";

// Nobody else's: what stands there was left by a killed process of the same number.
int open_new(const std::filesystem::path& path) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const int descriptor = ::open(path.c_str(), kFlags, 0644);
  if (descriptor >= 0 || errno != EEXIST || ::unlink(path.c_str()) != 0) return descriptor;
  return ::open(path.c_str(), kFlags, 0644);
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t limit) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) throw bad_input(path.string(), std::string("cannot be opened: ") + std::strerror(errno));
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw bad_input(path.string(), "is not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > limit) {
    throw bad_input(path.string(), "is larger than " + std::to_string(limit) + " bytes");
  }
  std::string content(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::read(fd.get(), content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw bad_input(path.string(), std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  content.resize(done);
  return content;
}

AtomicFile::AtomicFile(std::filesystem::path path, OnDiskFault on_fault)
    : path_(std::move(path)),
      temporary_(path_.string() + std::string(kUnfinished) + std::to_string(::getpid())),
      on_fault_(std::move(on_fault)),
      descriptor_(disk_call(path_, "created", on_fault_, [&] { return open_new(temporary_); })) {}

AtomicFile::~AtomicFile() {
  if (descriptor_.get() >= 0) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = [&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); };
    bytes.remove_prefix(static_cast<std::size_t>(disk_call(path_, "written", on_fault_, put, bytes.size())));
  }
}

int AtomicFile::sync() {
  while (::fsync(descriptor_.get()) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

void AtomicFile::publish() {
  disk_call(path_, "renamed", on_fault_, [&] { return ::rename(temporary_.c_str(), path_.c_str()); });
  descriptor_.close();
  sync_folder(path_.parent_path(), on_fault_);
}

void AtomicFile::commit() {
  if (const int code = sync(); code != 0) settle_fault({path_, code}, "written to disk", {});
  publish();
}

void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& fill,
                           const OnDiskFault& on_fault) {
  for (;;) {
    int code = 0;
    {
      AtomicFile file(path, on_fault);
      fill(file);
      code = file.sync();
      if (code == 0) return file.publish();
    }  // what takes room is gone before somebody waits for room
    settle_fault({path, code}, "written to disk", on_fault);
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content, const OnDiskFault& on_fault) {
  write_file_atomically(
      path, [&](AtomicFile& file) { file.write(content); }, on_fault);
}

void remove_unfinished_files(const std::filesystem::path& folder, const OnDiskFault& on_fault) {
  std::vector<std::filesystem::path> unfinished;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const auto mark = name.rfind(kUnfinished);
    if (mark == std::string::npos || mark == 0 || !entry.is_regular_file()) continue;
    const std::string_view process = std::string_view(name).substr(mark + kUnfinished.size());
    if (!process.empty() && process.find_first_not_of("0123456789") == std::string_view::npos)
      unfinished.push_back(entry.path());
  }
  for (const auto& path : unfinished) remove_file(path, on_fault);
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto tail = [&](std::size_t k) {
    return k < text.size() && (static_cast<unsigned char>(text[k]) & 0xC0) == 0x80;
  };
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      ++i;
    } else if (c >= 0xC2 && c <= 0xDF && tail(i + 1)) {
      i += 2;
    } else if (c >= 0xE0 && c <= 0xEF && tail(i + 1) && tail(i + 2)) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second >= 0xA0)) return false;
      i += 3;
    } else if (c >= 0xF0 && c <= 0xF4 && tail(i + 1) && tail(i + 2) && tail(i + 3)) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((c == 0xF0 && second < 0x90) || (c == 0xF4 && second >= 0x90)) return false;
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

void require_utf8(std::string_view where, std::string_view text) {
  if (!is_utf8(text)) throw bad_input(where, "is not valid UTF-8");
}

}  // namespace finetune
