// What test_faults.py has made on a disk: each argument is a command with words between spaces, made in their order.
// Names are relative to the working directory. An Error is a line on stderr and exit code 1; with `wait` in front of
// the others, a fault that may go away is a line "fault CODE BYTES NAME" on stdout and a try every 10 ms.
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "core/append_file.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"

namespace finetune {
namespace {

bool wait_a_little(const DiskFault& fault) {
  std::printf("fault %d %llu %s\n", fault.code, static_cast<unsigned long long>(fault.bytes), fault.path.c_str());
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return true;
}

// Past the layer, and synced by nobody.
void write_plainly(const std::string& name, const std::string& text) {
  const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0 || ::write(file, text.data(), text.size()) < 0 || ::close(file) != 0) throw failed(name, "not written");
}

class Writer {
 public:
  void run(const std::string& command) {
    std::istringstream words(command);
    std::string verb, a, b;
    words >> verb >> a;
    std::getline(words >> std::ws, b);
    if (verb == "wait") on_fault_ = wait_a_little;
    if (verb == "mkdir") make_folders(a, on_fault_);
    if (verb == "write") write_file_atomically(a, b, on_fault_);
    if (verb == "append") file(a).add(b);
    if (verb == "go_on") files_[a] = std::make_unique<AppendFile>(a, std::stoull(b), on_fault_);
    if (verb == "flush") file(a).flush();
    if (verb == "sync") file(a).sync();
    if (verb == "rename") rename_path(a, b, on_fault_);
    if (verb == "remove") remove_file(a, on_fault_);
    if (verb == "remove_tree") remove_tree(a, on_fault_);
    if (verb == "sync_file") sync_file(a);
    if (verb == "sync_folder") sync_folder(a, on_fault_);
    if (verb == "try") why_not_writable(a);
    if (verb == "plain_write") write_plainly(a, b);
    if (verb == "plain_rename" && ::rename(a.c_str(), b.c_str()) != 0) throw failed(a, "not renamed");
    if (verb == "plain_mkdir" && ::mkdir(a.c_str(), 0755) != 0) throw failed(a, "not made");
    if (verb == "sql") sql(a, b);
    if (verb == "threads") write_on_threads(a);
    if (verb == "die") ::kill(::getpid(), SIGKILL);
  }
  ~Writer() {
    for (const auto& [name, connection] : databases_) sqlite3_close(connection);
  }

 private:
  AppendFile& file(const std::string& name) {
    auto& found = files_[name];
    if (!found) found = std::make_unique<AppendFile>(name, on_fault_);
    return *found;
  }

  void sql(const std::string& name, const std::string& script) {
    sqlite3*& connection = databases_[name];
    if (connection == nullptr) sqlite3_open(name.c_str(), &connection);
    if (sqlite3_exec(connection, script.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw failed(name, sqlite3_errmsg(connection));
  }

  void write_on_threads(const std::string& name) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([name = name + std::to_string(i)] {
        for (int round = 0; round < 50; ++round) write_file_atomically(name, std::to_string(round));
      });
    }
    for (auto& thread : threads) thread.join();
  }

  OnDiskFault on_fault_;
  std::map<std::string, std::unique_ptr<AppendFile>> files_;
  std::map<std::string, sqlite3*> databases_;
};

}  // namespace
}  // namespace finetune

int main(int count, char** commands) {
  try {
    finetune::Writer writer;
    for (int i = 1; i < count; ++i) writer.run(commands[i]);
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
