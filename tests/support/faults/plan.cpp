#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "support/faults/faults.h"

namespace faults {
namespace {

std::string text_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const std::string text = text_of(name);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

// A number, or one of the names that tests use.
int code_of(const std::string& text) {
  static const std::map<std::string, int> names{{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},
                                                {"EROFS", EROFS},   {"EACCES", EACCES}, {"ESTALE", ESTALE}};
  const auto found = names.find(text);
  return found != names.end() ? found->second : static_cast<int>(std::strtol(text.c_str(), nullptr, 10));
}

}  // namespace

Plan::Plan() {
  const std::string under = text_of("FAULTS_UNDER");
  if (under.empty()) return;
  root_ = std::filesystem::weakly_canonical(under);
  if (!root_.has_filename()) root_ = root_.parent_path();
  if (const std::string log = text_of("FAULTS_LOG"); !log.empty())
    log_ = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  kill_ = number_of("FAULTS_KILL", 0);
  kill_after_ = number_of("FAULTS_KILL_AFTER", 0);
  torn_ = number_of("FAULTS_TORN", 0);
  errno_ = code_of(text_of("FAULTS_ERRNO"));
  errno_file_ = text_of("FAULTS_ERRNO_FILE");
  from_ = number_of("FAULTS_FROM", UINT64_MAX);
  to_ = number_of("FAULTS_TO", UINT64_MAX);
  delay_ms_ = static_cast<int>(number_of("FAULTS_DELAY_MS", 0));
  if (const std::string shadow = text_of("FAULTS_SHADOW"); !shadow.empty()) shadow_.emplace(shadow, root_);
}

std::optional<std::string> Plan::below(const std::filesystem::path& path) const {
  const std::string &text = path.native(), &root = root_.native();
  if (!is_on() || !text.starts_with(root)) return std::nullopt;
  if (text.size() == root.size()) return ".";
  if (text[root.size()] != '/') return std::nullopt;
  return text.substr(root.size() + 1);
}

int Plan::begin(const std::string& text, bool writes) {
  ++count_;
  const int code = writes && fails() ? errno_ : 0;
  const std::string line = std::to_string(count_) + "\t" + text + (code == 0 ? "\n" : "\tfails\n");
  if (log_ >= 0 && ::write(log_, line.data(), line.size()) < 0) std::perror("faults: FAULTS_LOG");
  if (count_ == kill_) kill_process();
  return code;
}

bool Plan::fails() const {
  if (errno_ == 0) return false;
  if (count_ >= from_ && count_ < to_) return true;
  return !errno_file_.empty() && ::access(errno_file_.c_str(), F_OK) == 0;
}

void Plan::end() const {
  if (count_ == kill_after_) kill_process();
}

void Plan::kill_process() {
  for (;;) ::kill(::getpid(), SIGKILL);
}

}  // namespace faults
