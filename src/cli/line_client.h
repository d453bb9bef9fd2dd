// One who sends requests as lines and reads answers as lines, over descriptors that never make the program wait:
// what has arrived is read, what there is room for is written, the rest is kept.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "core/disk_call.h"

namespace finetune {

/// A longer line is not taken.
inline constexpr std::size_t kLongestLine = std::size_t{64} << 20;

class LineClient {
 public:
  /// Of stdin and stdout, which are not closed.
  LineClient() = default;
  /// Of a socket.
  explicit LineClient(Descriptor socket) : in_(socket.get()), out_(socket.get()), socket_(std::move(socket)) {}

  int in() const { return in_; }
  int out() const { return out_; }

  /// Reads what is there, some MiB at a time: call it while it is readable. Calls line(text) for each whole line, and
  /// too_long() once for each that is longer than kLongestLine. The last line needs no end.
  void read(const std::function<void(std::string_view)>& line, const std::function<void()>& too_long);
  /// Nothing more will come.
  bool has_ended() const { return ended_; }

  void write(const std::string& line) { unsent_ += line + "\n"; }
  /// Sends what there is room for; to stdout some thousand bytes, which a pipe that is writable takes.
  void send();
  std::size_t unsent() const { return unsent_.size() - sent_; }
  /// Nobody reads any more.
  bool is_gone() const { return gone_; }

 private:
  bool is_socket() const { return socket_.get() >= 0; }
  void take_lines(const std::function<void(std::string_view)>& line, const std::function<void()>& too_long);

  int in_ = 0, out_ = 1;
  Descriptor socket_;
  std::string received_, unsent_;
  std::size_t searched_ = 0;  // of what was received, without a line end
  std::size_t sent_ = 0;
  bool skips_ = false;  // the rest of a line that is too long
  bool ended_ = false, gone_ = false;
};

}  // namespace finetune
