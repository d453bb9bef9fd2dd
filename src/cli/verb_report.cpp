#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/verbs.h"
#include "core/error.h"
#include "core/strict_json.h"
#include "report/summary.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

void require_run(const std::string& verb, const std::string& folder) {
  if (folder.empty()) throw bad_input("", verb + " needs the folder of a run: finetune_tune " + verb + " runs/first");
  if (!std::filesystem::is_directory(folder)) throw bad_input(folder, "is not a folder");
  if (!std::filesystem::exists(std::filesystem::path(folder) / "run.yaml"))
    throw bad_input(folder, "is not the folder of a run: it has no run.yaml");
}

}  // namespace

int run_report(const Arguments& arguments) {
  require_run("report", arguments.folder);
  const std::filesystem::path run = arguments.folder;
  const std::string where = (run / "report.json").string();
  if (!std::filesystem::exists(where))
    throw bad_input(where, "does not exist; only a tuning run that ended has a report");
  StudySummary study = summary_from_json(where, read_json_file(where));
  read_curves(run, study);
  write_reports(run, study);
  if (arguments.json)
    std::cout << report_json(study).dump() << "\n";
  else
    std::cout << report_text(study, arguments.folder);
  return 0;
}

int run_resume(const Arguments& arguments) {
  require_run("resume", arguments.folder);
  throw bad_input(arguments.folder, "resuming is not supported yet; run the study again with another --out");
}

}  // namespace finetune
