#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/terminal.h"
#include "core/error.h"
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
  const ReportFacts study = read_report(folder);
  check_output_folder("the report", folder);
  write_reports(folder, study);
  if (arguments.json())
    std::cout << report_json(study).dump() << "\n";
  else
    std::cout << report_text(study, terminal_columns(STDOUT_FILENO));
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
