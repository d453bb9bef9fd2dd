// A shell command that runs beside the test, which signals it, waits for it and reads what it says.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "cli/program.h"

namespace finetune::testing {

class Background {
 public:
  /// `said`: a file for its stdout and stderr.
  Background(const std::string& command, std::string said) : said_(std::move(said)) {
    const std::string line = "exec " + command + " >'" + said_ + "' 2>&1";
    pid_ = fork();
    if (pid_ == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
  }
  ~Background() {
    if (runs()) kill(pid_, SIGKILL);
    wait();
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void send(int signal) const { kill(pid_, signal); }
  bool runs() {
    if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    return !ended_;
  }
  /// Until `is_so`, or until it has ended; true for the former.
  bool wait_until(const std::function<bool()>& is_so) {
    while (!is_so()) {
      if (!runs()) return is_so();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  std::string said() const { return fs::exists(said_) ? read_file(said_) : ""; }
  bool has_said(const std::string& words) const { return said().find(words) != std::string::npos; }
  /// The code is 128 and the signal for one that was killed, as in a shell.
  Outcome wait() {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return {.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), .text = said()};
  }
  bool was_killed() const { return ended_ && WIFSIGNALED(status_); }

 private:
  std::string said_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace finetune::testing
