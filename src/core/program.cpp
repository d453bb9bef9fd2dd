#include "core/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/number.h"
#include "core/text.h"

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

// What the child does: no more than what is safe after a fork of many threads. It ends with the thread that started it.
[[noreturn]] void become(char* const* words, const OutputPipe& output, const OutputPipe& error, int report) {
  ::setpgid(0, 0);  // a group of its own, so that it and its children can be killed together; Ctrl-C is ours to act on
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output.writer(), STDOUT_FILENO);
  ::dup2(error.writer(), STDERR_FILENO);
  ::execvp(words[0], words);
  const int failed = errno;
  [[maybe_unused]] const ssize_t told = ::write(report, &failed, sizeof failed);
  ::_exit(127);
}

// 0 or an error number. The child closes the pipe by becoming another program, or says why it could not.
int spawn(const std::vector<std::string>& words, const OutputPipe& output, const OutputPipe& error, pid_t& child) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return errno;
  child = ::fork();
  if (child == 0) become(arguments.data(), output, error, report[1]);
  int failed = child < 0 ? errno : 0;
  ::close(report[1]);
  if (child > 0 && ::read(report[0], &failed, sizeof failed) > 0) ::waitpid(child, nullptr, 0);
  ::close(report[0]);
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

bool can_be_run(const std::string& program) {
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path != nullptr ? path : "/bin:/usr/bin", ':')) {
    if (::access(((folder.empty() ? "." : folder) + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace finetune
