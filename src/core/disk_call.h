// For the sources of this folder that write: a descriptor that closes itself, and a system call that is made until it
// succeeds or nobody wants it any more.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/disk_fault.h"

namespace finetune {

/// Owns a file descriptor; -1 is none.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }
  /// What a close could still say, an fsync before it has said; errno stays.
  void close() {
    const int code = errno;
    if (number_ >= 0) ::close(std::exchange(number_, -1));
    errno = code;
  }

 private:
  int number_;
};

/// What `call` returns once that is not negative; `call` is a system call with its error in errno. Between two calls
/// stands settle_fault, which throws.
template <typename Call>
auto disk_call(const std::filesystem::path& path, const char* verb, const OnDiskFault& on_fault, const Call& call,
               std::uint64_t bytes = 0) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) settle_fault({path, errno, bytes}, verb, on_fault);
  }
}

}  // namespace finetune
