// A socket in the file system on which clients of this machine's user are listened for.
#pragma once

#include <filesystem>
#include <string>

#include "core/disk_call.h"

namespace finetune {

class UnixSocket {
 public:
  /// Of mode 0600. A socket that nobody listens on any more is replaced. Throws Error (bad_input) where somebody
  /// listens, where something else stands there, or where the path is too long for a socket.
  explicit UnixSocket(const std::filesystem::path& path);
  /// Removes it, unless it is another's by now.
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  int descriptor() const { return listening_.get(); }
  /// One who waits to be let in; an empty descriptor where nobody does.
  Descriptor accept() const;

 private:
  std::filesystem::path path_;
  Descriptor listening_;
  unsigned long long inode_ = 0;
};

}  // namespace finetune
