#include "host/shared_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "config/config.h"
#include "core/database_url.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr const char *kToken = "token", *kConfiguration = "setting configuration";

fs::path folder_of(const fs::path& first, std::int64_t worker) {
  return first / "workers" / fmt::format("{:03}", worker);
}

fs::path absolute(const std::string& path) {
  return fs::absolute(path).lexically_normal();
}

// What all workers must have alike: everything but where and on what they run.
std::string configuration_of(const RunConfig& config) {
  RunConfig alike = config;
  alike.run = {};
  alike.study = {};
  alike.tune.concurrent.reset();
  return to_yaml(alike);
}

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \n"), end = text.find_last_not_of(" \n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

std::string first_difference(const std::string& here, const std::string& there) {
  const std::vector<std::string> ours = split(here, '\n'), theirs = split(there, '\n');
  for (std::size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const std::string a = i < ours.size() ? ours[i] : "", b = i < theirs.size() ? theirs[i] : "";
    if (a != b) return fmt::format("\"{}\" here, \"{}\" there", trimmed(a), trimmed(b));
  }
  return "";
}

void require_folder(const RunConfig& config, const StudyStanding& standing) {
  const fs::path file = fs::path(config.run.out) / kTokenFile;
  std::error_code error;
  if (fs::exists(file, error) && trimmed(read_file(file)) == standing.token) return;
  const std::string first = standing.workers.empty() ? "" : standing.workers.front().folder.string();
  throw bad_input(config.run.out, "--out is not the folder of the study in " + without_password(*config.study.url) +
                                      ", which was begun in " + first +
                                      "; its workers share that folder, on a disk that all of them see");
}

std::string describe_workers(const RunConfig& config, const StudyStanding& standing) {
  if (standing.workers.size() < 2) return "";
  Database database(*config.study.url, Access::read);
  const bool minimize = config.tune.direction == Direction::minimize;
  auto rows = database.run(
      "SELECT value, number, worker FROM trials JOIN trial_values USING (trial_id) JOIN ft_trials USING (trial_id) "
      "WHERE state = 'COMPLETE' ORDER BY value, number");
  if (!minimize) std::ranges::stable_sort(rows, std::ranges::greater{}, [](const SqlRow& row) { return row[0]; });
  std::string text = fmt::format("this is worker {} of {}", config.study.worker, standing.workers.size());
  if (rows.empty()) return text;
  const auto worker = std::get<std::int64_t>(rows[0][2]);
  const auto found = std::ranges::find(standing.workers, worker, &WorkerRow::worker);
  const std::string folder = found == standing.workers.end() ? "" : found->folder.string();
  return text + fmt::format("; the best trial of all is {}, {} {}, of worker {} in {}",
                            std::get<std::int64_t>(rows[0][1]), config.tune.metric,
                            fmt::format("{:.6g}", std::get<double>(rows[0][0])), worker, folder);
}

}  // namespace

RecordPlace place_of(const RunConfig& config) {
  if (config.study.url) return {*config.study.url, config.study.worker, absolute(config.run.out)};
  return fs::path(config.run.out);
}

std::optional<StudyStanding> look_at_study(RunConfig& config, bool overwrite) {
  if (!config.study.url) return std::nullopt;
  StudyStanding standing = standing_of(*config.study.url);
  config.study.worker = 0;
  if (!standing.exists) return standing;
  const std::string shown = without_password(*config.study.url);
  if (standing.complete)
    throw bad_input(shown, "study.url: the study there is complete; give a new one a database of its own (createdb)");
  if (overwrite)
    throw bad_input(shown,
                    "study.url: a study is there, which --overwrite leaves alone; without it this process joins, and "
                    "`resume` goes on with a run of it that ended");
  require_folder(config, standing);
  const std::int64_t number = standing.workers.empty() ? 1 : standing.workers.back().worker + 1;
  config.run.out = folder_of(config.run.out, number).string();
  return standing;
}

std::string describe_standing(const RunConfig& config, const StudyStanding& standing) {
  const std::string shown = without_password(*config.study.url);
  if (!standing.exists) return shown + " has no study yet: tune begins one there";
  return fmt::format("{} has a study on which {} worker{}: tune joins it, in {}", shown, standing.workers.size(),
                     standing.workers.size() == 1 ? " has worked" : "s have worked", config.run.out);
}

void refuse_study_url(const RunConfig& config, const std::string& verb) {
  if (config.study.url) throw bad_input("", "study.url is for tune, resume and check; " + verb + " shares no study");
}

void join(RunConfig& config, const StudyStanding& standing) {
  const std::string shown = without_password(*config.study.url), &scheduler = config.tune.scheduler->name;
  if (wants_one_process(scheduler))
    throw bad_input(shown, "study.url: tune.scheduler " + scheduler +
                               " pauses, changes or copies trials, so it wants all of them in one process, and nobody "
                               "can join");
  const auto there = standing.settings.find("configuration");
  if (there == standing.settings.end()) throw bad_input(shown, "study.url: the study there has only begun; try again");
  if (const std::string difference = first_difference(configuration_of(config), there->second); !difference.empty())
    throw bad_input(shown, "study.url: the study there has another configuration: " + difference);
  const fs::path first = standing.workers.front().folder;
  const fs::path base = fs::path(config.run.out).parent_path().parent_path();
  const WorkerRow joined =
      join_study(*config.study.url, [&](std::int64_t worker) { return folder_of(absolute(base.string()), worker); });
  config.study.worker = joined.worker;
  config.run.out = folder_of(base, joined.worker).string();
}

void keep_standing(const RunConfig& config, SaveRows& rows) {
  if (!config.study.url || config.study.worker > 0) return;
  std::random_device device;
  std::string token;
  for (int i = 0; i < 4; ++i) token += fmt::format("{:08x}", device());
  write_file_atomically(fs::path(config.run.out) / kTokenFile, token + "\n");
  rows.set_fact(kToken, token);
  rows.set_fact(kConfiguration, configuration_of(config));
}

std::string describe_workers(const RunConfig& config) {
  if (!config.study.url) return "";
  try {
    return describe_workers(config, standing_of(*config.study.url));
  } catch (const Error&) {  // the results are written; the server may have gone since
    return "";
  }
}

}  // namespace finetune
