// A run whose study lies in PostgreSQL (study.url): begun by the first process, joined by the others, which are started
// with the same configuration and the same --out. The first one's run lies in that folder, those of the others in
// workers/N below it, each as a run of its own; run.yaml of each has its number (study.worker).
#pragma once

#include <optional>
#include <string>

#include "config/run_config.h"
#include "host/hooks.h"
#include "study/save_rows.h"
#include "study/workers.h"

namespace finetune {

/// A file of the first one's folder, by which the others know that it is theirs too.
constexpr const char* kTokenFile = "study.token";

/// Where the record of a run lies, by its configuration.
RecordPlace place_of(const RunConfig& config);

/// Before anything is opened: reads how the study stands, nothing where study.url is not given. Where it is there, its
/// folder becomes run.out: the number may change until join(). Throws Error (bad_input): the server does not answer,
/// the database is of another program, the study is complete, --out is not its folder, `overwrite` is asked for.
std::optional<StudyStanding> look_at_study(RunConfig& config, bool overwrite);

/// What `tune` would do at study.url, for people.
std::string describe_standing(const RunConfig& config, const StudyStanding& standing);

/// Throws Error (bad_input) naming study.url where it is given, for a verb that has no use for it.
void refuse_study_url(const RunConfig& config, const std::string& verb);

/// Everything of `config` is settled: takes a number, which run.out and study.worker say from now on. Throws Error
/// (bad_input) naming what is not as the others have it, or the scheduler that wants all trials in one process.
void join(RunConfig& config, const StudyStanding& standing);

/// What the first one writes, for the others to look at: into its folder, and into its record.
void keep_standing(const RunConfig& config, SaveRows& rows);

/// At the end: of which workers the study was, and who has its best trial. "" for a study of one.
std::string describe_workers(const RunConfig& config);

}  // namespace finetune
