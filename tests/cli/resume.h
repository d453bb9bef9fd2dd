// Studies of the built program that are cut off and gone on with, and what they leave.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/background.h"
#include "cli/program.h"
#include "study/database.h"

namespace finetune::testing {

/// What a run leaves, by name. Times are taken out; of what has them all over, only the size counts.
using Left = std::map<std::string, std::string>;

inline Left what_is_left(const fs::path& run) {
  Left left;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(run).string();
    std::string content = read_file(entry.path());
    if (name.starts_with("study.db") || name == "report.md" || name == "report.html") content = "there";
    if (name.starts_with("tensorboard/")) content = std::to_string(content.size()) + " bytes";
    if (name == "report.json") {
      auto json = nlohmann::ordered_json::parse(content);
      for (const char* time : {"seconds", "evaluation_seconds"}) EXPECT_EQ(json.at("cost").erase(time), 1u);
      content = json.dump(1);
    }
    left[name] = content;
  }
  return left;
}

inline void expect_same(const Left& expected, const Left& found) {
  for (const auto& [name, content] : expected) {
    const auto place = found.find(name);
    ASSERT_NE(place, found.end()) << name << " is missing";
    ASSERT_TRUE(content == place->second) << name << " is other:\n" << content.substr(0, 4096);
  }
  for (const auto& [name, content] : found) ASSERT_TRUE(expected.contains(name)) << name << " is too much";
}

/// What was saved last: "state-000012.json"; "" where nothing is, or no study.db is there yet.
inline std::string saved_state(const fs::path& run) {
  if (!fs::exists(run / "study.db")) return "";
  Database database(run / "study.db", Access::read);
  const auto rows = database.run("SELECT file FROM ft_saves ORDER BY save_id DESC");
  return rows.empty() ? "" : std::get<std::string>(rows.front().front());
}

/// A folder in memory, where there is one: a study syncs hundreds of times.
inline bool works_in_memory() {
  const bool can = ::access("/dev/shm", W_OK) == 0;
  if (can) ::setenv("TMPDIR", "/dev/shm", 1);
  return can;
}

/// Where the log of the fault library comes to a second save: the first is valid then.
inline std::size_t second_save(const std::string& log) {
  const std::size_t first = log.find("state-");
  const std::string name = log.substr(first, std::string("state-000000").size());
  std::size_t at = first;
  while (at != std::string::npos && log.compare(at, name.size(), name) == 0) at = log.find("state-", at + 1);
  return at;
}

class Place {
 public:
  const Fixture& files() const { return files_; }
  std::string path(const std::string& name) const { return files_.path(name); }
  fs::path out() const { return path("out"); }

  /// A study of `more` in out/ that saves every third round. (How many lanes pay is measured, so it may be another
  /// number another time.)
  std::string study(const std::string& more) const {
    const bool saves = more.find("save_every") == std::string::npos, lanes = more.find("lanes") == std::string::npos;
    return files_.tune((saves ? "--set run.save_every=3 " : "") + std::string(lanes ? "--set run.lanes=1 " : "") +
                       more);
  }
  std::string resume(const std::string& folder = "out") const { return "resume '" + path(folder) + "'"; }

  /// A command of the program on whose writes below out/ the fault library acts.
  std::string with_faults(const std::string& faults, const std::string& arguments) const {
    return "env LD_PRELOAD='" + build_dir() + "/libfinetune_faults.so' FAULTS_UNDER='" + path("out") + "' " + faults +
           " '" + program_path() + "' " + arguments;
  }
  Outcome run_with(const std::string& faults, const std::string& arguments) const {
    return run_command(with_faults(faults, arguments));
  }

  /// Plays it to its end, takes note of what it leaves and of its writes, and removes it.
  Left untouched(const std::string& arguments) {
    const Outcome outcome = run_with("FAULTS_LOG='" + path("log") + "'", arguments);
    if (outcome.code != 0) throw std::runtime_error(outcome.text);
    Left left = what_is_left(out());
    fs::remove_all(out());
    const std::string log = files_.read("log");
    fs::remove(path("log"));
    writes_ = std::ranges::count(log, '\n');
    saved_ = std::ranges::count(log.substr(0, second_save(log)), '\n');
    return left;
  }
  /// "FAULTS_KILL=N" for N at a share of the writes that untouched() made after the first save.
  std::string kill_at(double share) const {
    return "FAULTS_KILL=" + std::to_string(saved_ + static_cast<int>(static_cast<double>(writes_ - saved_) * share));
  }
  /// Killed when it has saved.
  void killed(const std::string& arguments, double share = 0.4) const {
    const Outcome outcome = run_with(kill_at(share), arguments);
    ASSERT_EQ(outcome.code, 128 + SIGKILL) << outcome.text;
    ASSERT_NE(saved_state(out()), "") << outcome.text;
  }

 private:
  const bool in_memory_ = works_in_memory();  // before the folder
  Fixture files_;
  std::ptrdiff_t writes_ = 0, saved_ = 0;
};

}  // namespace finetune::testing
