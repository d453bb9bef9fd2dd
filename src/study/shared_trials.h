// The trials of a study in PostgreSQL, as one of those who work on it sees them: StudyPeers on ft_workers, ft_trials
// and Optuna's tables. What the study learns is what these say; who is dead is the one thing from a clock.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/peers.h"
#include "study/heartbeat.h"
#include "study/run_files.h"
#include "study/saves.h"
#include "study/study_record.h"
#include "study/workers.h"

namespace finetune {

struct SharedTrialsOptions {
  std::chrono::milliseconds dead_after{60'000};
  std::chrono::milliseconds beat_every{10'000};
  std::function<void(const std::string&)> say = [](const std::string&) {};  ///< who is waited for, or was found dead
};

class SharedTrials : public StudyPeers {
 public:
  /// All must outlive it. Images of dead workers' trials are made by `lanes`.
  SharedTrials(StudyRecord& record, RunFiles& files, const std::vector<Lane*>& lanes, Direction direction,
               SharedTrialsOptions options);

  /// Before a study goes on: what others have taken up of it meanwhile is theirs.
  void come_back(StudyState& state);
  /// The study has ended for this worker.
  void leave();

  std::vector<PeerTrial> news() override;
  void start_trials(const std::function<std::vector<NewTrial>(const std::vector<PeerTrial>&)>& start) override;
  std::vector<Trial> take_up(std::int64_t room) override;
  bool wait(const std::function<bool()>& stop) override;
  bool best_is_elsewhere(const Trial* best) override;

 private:
  struct Taken {
    TrialId id;
    Params params;
  };
  template <typename Work>
  void transact_alive(Work work);
  std::vector<PeerTrial> read_news();
  std::int64_t first_open() const;
  void note(const std::vector<PeerTrial>& news);
  void say_who_is_waited_for();
  std::vector<Taken> claim(const WorkerRow& from, std::int64_t room);
  std::vector<Trial> as_saved(const WorkerRow& from, const std::vector<Taken>& taken);
  void copy_metrics(const WorkerRow& from, const SavedStudy& saved, TrialId trial);

  StudyRecord& record_;
  RunFiles& files_;
  std::vector<Lane*> lanes_;
  Direction direction_;
  SharedTrialsOptions options_;
  Heartbeat heartbeat_;
  std::chrono::steady_clock::time_point looked_{};
  std::set<std::int64_t> open_;  // numbers of others' trials that have not ended
  std::int64_t next_ = 0;        // the first number that is not known
  bool others_ = false;          // there are trials of others
  bool waits_ = false;           // for them, which has been said
};

}  // namespace finetune
