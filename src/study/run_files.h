// The files of a run that grow while it runs (core/append_file.h), by their names in its folder. A save covers them by
// their sizes and what stands in them: what lies beyond is cut off when the run is gone on with. One thread, except
// sync_files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/append_file.h"
#include "core/disk_fault.h"
#include "engine/study.h"
#include "study/written_file.h"

namespace finetune {

struct CoveredFile {
  WrittenFile written;
  bool ended = false;  ///< nothing is added to it any more
};

/// By name: "trials/000001/metrics.jsonl".
using CoveredFiles = std::map<std::string, CoveredFile>;

/// As an observer it comes after those that write to it: a round is handed to the system as a whole.
class RunFiles : public StudyObserver {
 public:
  explicit RunFiles(std::filesystem::path run, OnDiskFault on_fault = {});

  /// Makes a file, empty, and the folders that it lies in.
  AppendFile& create(const std::string& name);
  /// Goes on with what a save covers; names come from a file and are checked. Throws Error, before anything is cut,
  /// where not everything is there as it was.
  void reopen(const CoveredFiles& files);
  /// Null where there is none, or no longer.
  AppendFile* find(const std::string& name);
  /// Writes what is left of it; nothing is added to it any more. No file of that name is fine.
  void close(const std::string& name);
  void flush();
  void on_round(std::int64_t) override { flush(); }

  /// All that there are, after a flush.
  CoveredFiles covered() const;
  /// Paths of all that was created, added to or closed since the last call.
  std::vector<std::filesystem::path> take_changed();

  const std::filesystem::path& run() const { return run_; }
  const OnDiskFault& on_fault() const { return on_fault_; }

 private:
  std::filesystem::path run_;
  OnDiskFault on_fault_;
  std::map<std::string, std::unique_ptr<AppendFile>> open_;
  std::map<std::string, WrittenFile> ended_;
  std::map<std::string, std::uint64_t> taken_;  // sizes at the last take_changed
  std::set<std::string> closed_;                // since then
};

/// Makes files and their names durable. Any thread.
void sync_files(const std::vector<std::filesystem::path>& paths);

}  // namespace finetune
