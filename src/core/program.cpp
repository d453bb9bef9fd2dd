#include "core/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "core/number.h"

extern char** environ;

namespace finetune {
namespace {

using ProgramClock = std::chrono::steady_clock;

constexpr std::size_t kMostKept = 64 << 10;
constexpr int kPollMilliseconds = 100;

// The end that is read of what a program writes.
class OutputPipe {
 public:
  explicit OutputPipe(std::string& text) : text_(text) {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~OutputPipe() {
    close_end(0);
    close_end(1);
  }
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;

  int writer() const { return ends_[1]; }
  int reader() const { return ends_[0]; }
  bool is_open() const { return ends_[0] >= 0; }
  void close_writer() { close_end(1); }

  // What is there now; closes at the end of it.
  void take() {
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(ends_[0], bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) return close_end(0);
    const std::size_t room = kMostKept - std::min(kMostKept, text_.size());
    text_.append(bytes.data(), std::min(room, static_cast<std::size_t>(count)));
  }

 private:
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }
  std::string& text_;
  std::array<int, 2> ends_{-1, -1};
};

// 0 or an error number.
int spawn(const std::vector<std::string>& words, const OutputPipe& output, const OutputPipe& error, pid_t& child) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  posix_spawn_file_actions_adddup2(&actions, nothing, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, error.writer(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A group of its own, so that it and its children can be killed together; Ctrl-C is ours to act on.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const int failed = posix_spawnp(&child, words.front().c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (nothing >= 0) ::close(nothing);
  return failed;
}

bool has_ended(pid_t child, int& status) {
  return ::waitpid(child, &status, WNOHANG) == child;
}

void wait_for(pid_t child, int& status) {
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  return code == 0 ? "" : "ended with exit code " + std::to_string(code);
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& words, const ProgramLimits& limits) {
  ProgramResult result;
  OutputPipe output(result.output), error(result.error);
  pid_t child = -1;
  if (!output.is_open() || !error.is_open()) {
    result.problem = "cannot be started: no pipe can be made";
    return result;
  }
  if (const int failed = spawn(words, output, error, child); failed != 0) {
    result.problem = std::string("cannot be started: ") + std::strerror(failed);
    return result;
  }
  output.close_writer();
  error.close_writer();
  const auto end = ProgramClock::now() + std::chrono::duration<double>(limits.seconds);
  int status = 0;
  for (;;) {
    std::array<pollfd, 2> ends{pollfd{output.reader(), POLLIN, 0}, pollfd{error.reader(), POLLIN, 0}};
    ::poll(ends.data(), ends.size(), kPollMilliseconds);
    if (ends[0].revents != 0) output.take();
    if (ends[1].revents != 0) error.take();
    // A child of its own may hold the pipes longer than it lives.
    if (!output.is_open() && !error.is_open() && has_ended(child, status)) break;
    if (ends[0].revents == 0 && ends[1].revents == 0 && has_ended(child, status)) break;
    result.interrupted = limits.interrupted && limits.interrupted();
    if (!result.interrupted && ProgramClock::now() < end) continue;
    ::kill(-child, SIGKILL);
    wait_for(child, status);
    result.problem =
        result.interrupted ? "was interrupted" : "took longer than " + number_to_text(limits.seconds) + " seconds";
    return result;
  }
  ::kill(-child, SIGKILL);  // what it left running
  result.problem = how_it_ended(status);
  return result;
}

}  // namespace finetune
