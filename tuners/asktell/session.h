// The tuner as a conversation: a line of JSON in, a line of JSON out (design contract, section 9). The whole protocol
// on plain values, without a process or a pipe, so that a test can hold it; the verb `asktell` feeds it with stdin.
//
//   {"ask": 2}                                     -> {"trials":[{"id":0,"params":{"x":0.3}}, ...]}
//   {"report": [{"id":0,"step":1,"value":0.4}]}    -> {"actions":[{"id":0,"do":"stop"}]}
//   {"tell": [{"id":0,"value":0.4}]}               -> {"ok":true}
//   {"best": 1}                                    -> {"best":{"id":0,"params":{...},"value":0.4}}
//   {"rungs": 1}                                   -> {"rungs":[1,3,9]} or {"interval":5}
//   {"save": "FILE"}  {"load": "FILE"}             -> {"ok":true}
//
// `rungs` says at which steps the scheduler compares trials; a trial that reports in between counts there with its
// first report at or past the step. Rungs are those below tune.steps, of every bracket; early_exit's and replay's steps
// are a list too; a scheduler that looks at every report has the interval 1; `none` compares nobody: {"rungs":[]}.
//
// A line that cannot be carried out whole is answered by {"error":"..."} and changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tuners/asktell/report_line.h"
#include "tuners/tuner.h"

namespace finetune {

struct AskTellSetup {
  std::function<std::unique_ptr<Tuner>()> make_tuner;  ///< a fresh one, also for each load
  std::int64_t steps = 1;                              ///< full budget of a trial, tune.steps
  Direction direction = Direction::minimize;
  /// What a saved state must share with this session, by key of the configuration; load names the one that differs.
  nlohmann::ordered_json identity = nlohmann::ordered_json::object();
  /// True once tune.budget.seconds are over: the next report or tell ends the study. Empty: never.
  std::function<bool()> out_of_time;
};

class AskTellSession {
 public:
  explicit AskTellSession(AskTellSetup setup);

  /// The answer to one request, without a line break. Never throws for a bad line.
  std::string answer(std::string_view line);

 private:
  using Json = nlohmann::ordered_json;
  std::string carry_out(const Json& request);
  std::string ask(const Json& count);
  std::string report(std::span<const ReportEntry> entries);
  std::string tell(const Json& entries);
  Json best() const;
  Json rungs() const;
  void save(const Json& path) const;
  void load(const Json& path);
  void end_when_out_of_time(std::vector<Action>& actions);

  AskTellSetup setup_;
  std::unique_ptr<Tuner> tuner_;
  ReportLineReader report_line_;
  std::set<TrialId> told_;  // completed trials whose last value was told as well
};

}  // namespace finetune
