#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/strict_json.h"
#include "host/run_paths.h"
#include "report/facts.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

void require_run(const std::string& folder) {
  if (folder.empty()) throw bad_input("", "report needs the folder of a run: finetune_tune report runs/first");
  if (!std::filesystem::is_directory(folder)) throw bad_input(folder, "is not a folder");
  if (!std::filesystem::exists(std::filesystem::path(folder) / "run.yaml"))
    throw bad_input(folder, "is not the folder of a run: it has no run.yaml");
}

int run_report(const Arguments& arguments) {
  const std::string folder = arguments.option("folder");
  require_run(folder);
  const std::filesystem::path run = folder;
  const std::string where = (run / "report.json").string();
  if (!std::filesystem::exists(where))
    throw bad_input(where, "does not exist: this is no tuning run, or one that was cut off before its end");
  check_output_folder("the report", folder);
  ReportFacts study = facts_from_json(where, read_json_file(where));
  read_curves(run, study);
  analyze(study);
  find_results(run, study);
  write_reports(run, study);
  if (arguments.json())
    std::cout << report_json(study).dump() << "\n";
  else
    std::cout << report_text(study);
  return 0;
}

}  // namespace

Verb report_verb() {
  return {.name = "report",
          .help = "write the report of a run again",
          .example = "finetune_tune report runs/first",
          .flags = {{"folder", "DIR", "folder of a run"}},
          .run = run_report,
          .configured = false};
}

}  // namespace finetune
