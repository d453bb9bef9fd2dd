// Entries of asktell requests as plain values: read from JSON and checked against the trials there are. Each function
// checks the whole list before anything is done, gives it back sorted by trial id, and throws Error (bad_input).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tuners/asktell/report_line.h"
#include "tuners/tuner.h"

namespace finetune {

/// {"id","step","value"} as they stand, in the line's order.
std::vector<ReportEntry> read_entries(const nlohmann::ordered_json& entries);

/// Running trials, each at most once, steps growing up to `steps`.
std::vector<Report> checked_reports(std::span<const ReportEntry> entries, const Tuner& tuner, std::int64_t steps);

struct Ending {
  TrialId trial;
  TrialState state = TrialState::completed;  ///< completed or failed
  std::optional<double> value;               ///< always there when completed
  bool repeats = false;                      ///< the trial has completed already: nothing is to be done
};

/// {"id","value"} or {"id","state":"failed"} of running or paused trials, each at most once. A trial that completed by
/// its reports may be told once more, unless it is in `told`.
std::vector<Ending> read_endings(const nlohmann::ordered_json& entries, const Tuner& tuner,
                                 const std::set<TrialId>& told);

/// A whole number of at least `low`; `what` names it in the message.
std::int64_t read_whole(const nlohmann::ordered_json& json, const std::string& what, std::int64_t low);

/// A text that is not empty.
std::string read_path(const nlohmann::ordered_json& json, const std::string& what);

}  // namespace finetune
