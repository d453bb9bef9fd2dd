#include "study/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace finetune {

AppendFile::AppendFile(const std::filesystem::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) throw failed(path.string(), std::string("cannot be created: ") + std::strerror(errno));
}

AppendFile::~AppendFile() {
  try {
    flush();
  } catch (const Error&) {  // a destructor has nobody to tell; the study flushes every round and would have heard
  }
  ::close(descriptor_);
}

void AppendFile::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t put = ::write(descriptor_, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw failed(path_.string(), std::string("cannot be written: ") + std::strerror(errno));
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  buffer_.clear();
}

}  // namespace finetune
