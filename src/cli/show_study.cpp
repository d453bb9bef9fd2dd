#include "cli/show_study.h"

#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "core/error.h"
#include "report/failures.h"

namespace finetune {

void require_winner(const ReportFacts& study) {
  if (!study.interrupted && all_failed(study)) throw failed(study.folder, "every trial failed: " + failure_hint(study));
  if (!study.interrupted && !study.best) throw failed(study.folder, "no trial was evaluated, so there is no winner");
}

int show_study(const ReportFacts& study, bool json) {
  if (json)
    std::cout << report_json(study).dump() << "\n";
  else
    std::cout << report_text(study, terminal_columns(STDOUT_FILENO));
  require_winner(study);
  return study.interrupted ? 130 : 0;
}

}  // namespace finetune
