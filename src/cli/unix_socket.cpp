#include "cli/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/folders.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.empty() || text.size() >= sizeof address.sun_path)
    throw bad_input("--socket", text + " has " + std::to_string(text.size()) +
                                    " bytes; the path of a socket has at most " +
                                    std::to_string(sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, text.c_str(), text.size());
  return address;
}

template <typename Call>
int with_address(Call call, const Descriptor& socket, const sockaddr_un& address) {
  return call(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Descriptor new_socket() {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) throw failed("--socket", std::strerror(errno));
  return socket;
}

std::optional<unsigned long long> inode_of(const fs::path& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

void require_free(const fs::path& path) {
  const fs::file_type type = fs::symlink_status(path).type();
  if (type == fs::file_type::not_found) return;
  if (type != fs::file_type::socket) throw bad_input("--socket", path.string() + " is there and no socket");
  const Descriptor probe = new_socket();
  const bool refused = with_address(::connect, probe, address_of(path)) != 0 && errno == ECONNREFUSED;
  if (!refused) throw bad_input("--socket", path.string() + ": somebody listens there");
}

}  // namespace

UnixSocket::UnixSocket(const fs::path& path) : path_(path), listening_(new_socket()) {
  // Under a name of its own until it is ready, so that nobody finds it with another mode or before it listens.
  const fs::path beside = path.string() + "." + std::to_string(::getpid());
  const sockaddr_un address = address_of(beside);
  require_free(path);
  remove_file(beside);
  const mode_t before = ::umask(0177);
  const int bound = with_address(::bind, listening_, address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) throw bad_input("--socket", path.string() + ": " + std::strerror(error));
  if (::listen(listening_.get(), SOMAXCONN) != 0) throw failed("--socket", std::strerror(errno));
  rename_path(beside, path);
  inode_ = inode_of(path).value_or(0);
}

UnixSocket::~UnixSocket() {
  if (inode_ == 0 || inode_of(path_) != inode_) return;
  try {
    remove_file(path_);
  } catch (const Error&) {  // it stays, and whoever comes next replaces it
  }
}

Descriptor UnixSocket::accept() const {
  return Descriptor(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

}  // namespace finetune
