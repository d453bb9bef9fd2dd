#include <fmt/format.h>

#include "core/text.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {
namespace {

std::string answer(const char* title, const std::string& written) {
  const std::string text(trim(written));  // prompts end, or completions begin, with white space
  return fmt::format("<div><h4>{}</h4><pre>{}</pre></div>", title,
                     text.empty() ? "<span class=\"soft\">nothing</span>" : escape(shortened(text)));
}

}  // namespace

std::string samples_section(const ReportFacts& study) {
  if (study.samples.empty()) return "";
  std::string html =
      "<p class=\"soft\">What the untouched base and the best write behind prompts of the validation data.</p>";
  for (std::size_t i = 0; i < study.samples.size(); ++i) {
    const SampleFact& sample = study.samples[i];
    html +=
        fmt::format("<h3>Prompt {}</h3><pre>{}</pre><div class=\"answers\">", i + 1, escape(shortened(sample.prompt))) +
        answer("Reference", sample.reference) + answer("Base", sample.base) + answer("Best", sample.best) + "</div>\n";
  }
  return html;
}

}  // namespace finetune::html
