// Parts of a study in PostgreSQL by themselves, for shared.py, which takes the server away meanwhile.
//
//   shared_parts transactions ADDRESS    a row for each number on stdin, in a transaction of its own; says which is
//   there shared_parts watch ADDRESS DEAD      says when a worker is found dead, who has not beaten for so many
//   milliseconds
//
// `transactions` says `away` each time that the server is.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>

#include "core/error.h"
#include "study/database.h"
#include "study/heartbeat.h"

namespace finetune::testing {
namespace {

using namespace std::chrono_literals;

void say(const std::string& line) {
  std::cout << line << std::endl;
}

int write_rows(const std::string& address) {
  Database database(address);
  database.run("CREATE TABLE kept (number BIGINT NOT NULL)");
  const auto wait = [](const DiskFault&) {
    say("away");
    std::this_thread::sleep_for(50ms);
    return true;
  };
  for (std::string number; std::getline(std::cin, number);) {
    const std::int64_t value = std::strtoll(number.c_str(), nullptr, 10);
    transact(database, wait, [&] { database.run("INSERT INTO kept VALUES (?1)", {value}); });
    say(number);
  }
  return 0;
}

int watch(const std::string& address, std::chrono::milliseconds dead_after) {
  constexpr std::int64_t kMe = 99;
  Heartbeat heartbeat({address, kMe, "."}, 50ms, dead_after);
  while (heartbeat.dead().empty()) std::this_thread::sleep_for(5ms);
  say("worker " + std::to_string(heartbeat.dead().front().worker) + " is dead");
  return 0;
}

}  // namespace
}  // namespace finetune::testing

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::strcmp(argv[1], "transactions") == 0) return finetune::testing::write_rows(argv[2]);
    if (argc == 4 && std::strcmp(argv[1], "watch") == 0)
      return finetune::testing::watch(argv[2], std::chrono::milliseconds(std::strtoll(argv[3], nullptr, 10)));
    return 2;
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_code(error.kind());
  }
}
