#include "cli/line_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

constexpr std::size_t kReadAtOnce = 1 << 20, kWriteAtOnce = 4096;  // a pipe that is writable takes PIPE_BUF bytes

bool not_now(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

void LineClient::take_lines(const std::function<void(std::string_view)>& line, const std::function<void()>& too_long) {
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = received_.find('\n', std::max(begin, searched_))) != std::string::npos;) {
    if (!std::exchange(skips_, false)) line(std::string_view(received_).substr(begin, end - begin));
    begin = end + 1;
  }
  received_.erase(0, begin);
  searched_ = received_.size();
  if (received_.size() <= kLongestLine && !skips_) return;
  if (!std::exchange(skips_, true)) too_long();
  received_.clear();
  searched_ = 0;
}

void LineClient::read(const std::function<void(std::string_view)>& line, const std::function<void()>& too_long) {
  const std::size_t before = received_.size();
  received_.resize(before + kReadAtOnce);
  const ssize_t got = ::read(in_, received_.data() + before, kReadAtOnce);
  received_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  if (got < 0 && not_now(errno)) return;
  if (got <= 0) ended_ = true;
  take_lines(line, too_long);
  if (!ended_ || received_.empty()) return;
  if (!skips_) line(received_);
  received_.clear();
}

void LineClient::send() {
  while (unsent() > 0) {
    const std::string_view rest = std::string_view(unsent_).substr(sent_);
    const ssize_t wrote = is_socket() ? ::send(out_, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                      : ::write(out_, rest.data(), std::min(rest.size(), kWriteAtOnce));
    if (wrote < 0) {
      if (not_now(errno)) return;
      if (!is_socket()) throw failed("stdout", "cannot be written");
      gone_ = true;
      return;
    }
    sent_ += static_cast<std::size_t>(wrote);
    if (!is_socket()) break;
  }
  if (sent_ < unsent_.size()) return;
  unsent_.clear();
  sent_ = 0;
}

}  // namespace finetune
