// saves/: the whole state of a study, from which `resume` goes on.
//
//   saves/state-000120.json           after round 120: the loop and its tuner (engine/study_json.h), which images
//   belong
//                                     to it, how long every file that grows was, the seconds so far
//   saves/image-000057.safetensors    weights and moments of one trial (study/image_file.h); those that did not change
//                                     since the last save are kept
//   study.db, table ft_saves          a save is valid once its row is there, written last and made durable
//
// The last two stay, so that there is one to go on from where the newest is damaged; the older one goes when a third is
// begun, so no more than two are ever on the disk. Torch-free.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/disk_fault.h"
#include "engine/study_state.h"
#include "study/image_file.h"
#include "study/run_files.h"
#include "study/save_rows.h"
#include "study/written_file.h"

namespace finetune {

struct SavedStudy {
  StudyState state;
  CoveredFiles files;                ///< RunFiles::covered
  double seconds = 0;                ///< that the study has taken
  double evaluation_seconds = 0;     ///< of these in evaluations
  std::set<std::string> names = {};  ///< read_save: its files in saves/
};

/// Writes saves of one run, on one thread.
class SaveWriter {
 public:
  /// `run` has a study.db (study/study_record.h).
  explicit SaveWriter(const std::filesystem::path& run, OnDiskFault on_fault = {});
  SaveWriter(std::filesystem::path run, RecordPlace place, OnDiskFault on_fault);
  /// Nothing but `study` is left of earlier saves.
  void go_on_from(const SavedStudy& study);
  /// Returns when the save is valid and durable; what lies in saves/ besides the last valid one goes before. `changed`:
  /// files that it covers and that have to be durable before (RunFiles::take_changed). Throws Error (failed); the last
  /// valid save stays then.
  void write(const SavedStudy& study, const std::vector<std::filesystem::path>& changed);

 private:
  void remove_all_but_last();
  struct OnDisk {
    std::weak_ptr<const TrialImage> image;  // gone: another may have its address, and its memory is the study's
    std::string name;
    WrittenFile written;
  };
  const OnDisk& keep(const std::shared_ptr<const TrialImage>& image);
  void write_state(const std::string& name, const SavedStudy& study);

  std::filesystem::path run_, folder_;
  RecordPlace place_;
  OnDiskFault on_fault_;
  std::map<const TrialImage*, OnDisk> on_disk_, used_;  // of the last save, and of the one being written
  std::set<std::string> last_;                          // names of the last valid save's files
  std::int64_t next_image_ = 0;
  WrittenFile state_;
};

/// The newest save of `run` all of whose files are what was written; nothing where none was made yet. A damaged one is
/// said. Throws Error (bad_input) naming the newest one's file where none is whole.
std::optional<SaveRow> find_save(const std::filesystem::path& run, SaveRows& rows,
                                 const std::function<void(const std::string&)>& say);

/// How far a study had come.
struct SavedProgress {
  std::int64_t ended = 0;      ///< trials of the search, stopped ones included
  double begun = 0;            ///< what those under way have behind them, in trials of `steps` steps
  bool has_baselines = false;  ///< the base is evaluated and the default configuration trained
  double seconds = 0;          ///< that it has taken
};

/// Of a save that find_save gave, in trials of `steps` steps. Throws Error (bad_input) naming the file.
SavedProgress read_progress(const std::filesystem::path& run, const SaveRow& row, std::int64_t steps);

/// Images go to the lanes, all of which make them alike. Not trusted: throws Error (bad_input) naming the file.
SavedStudy read_save(const std::filesystem::path& run, const SaveRow& row, const std::vector<Lane*>& lanes);

/// The same of another worker's study, whose lanes were others, in number too: its trials are what is of use.
SavedStudy read_save_of_others(const std::filesystem::path& run, const SaveRow& row, const Lane& lane);

/// Removes saves/, once there is nothing to go on with.
void remove_saves(const std::filesystem::path& run, const OnDiskFault& on_fault = {});

}  // namespace finetune
