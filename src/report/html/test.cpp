#include <fmt/format.h>

#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {
namespace {

std::string test_card(const std::optional<double>& value, const char* what, bool best = false) {
  return fmt::format("<li{}><b>{}</b> <span>{}</span></li>", best ? " class=\"best\"" : "",
                     value ? short_number(*value) : "failed", what);
}

}  // namespace

std::string test_section(const ReportFacts& study) {
  if (!study.test) return "";
  std::string files;
  for (const std::string& file : study.test_files) files += (files.empty() ? " of " : ", ") + escape(file);
  return "<p class=\"soft\">" + escape(study.metric) + files + ", scored once at the end: no choice has seen it.</p>" +
         "<ul class=\"cards\">" + test_card(study.test->best, "best", true) +
         test_card(study.test->default_run, "default configuration") + test_card(study.test->base, "untouched base") +
         "</ul>";
}

}  // namespace finetune::html
