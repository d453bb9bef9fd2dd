#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "report/facts.h"
#include "report/html/assets.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune {
namespace {

struct Section {
  const char *id, *title;
  std::string (*make)(const ReportFacts&);
};

constexpr Section kSections[] = {
    {"winner", "Winner", html::winner_section},
    {"hints", "Hints", html::hints_section},
    {"test", "On test data", html::test_section},
    {"cost", "Cost", html::cost_section},
    {"profile", "Where the time went", html::profile_section},
    {"curves", "Learning curves", html::curves_section},
    {"slices", "Parameters, one by one", html::slices_section},
    {"importance", "What mattered", html::importance_section},
    {"interactions", "What mattered together", html::interactions_section},
    {"timeline", "Trials over rounds", html::timeline_section},
    {"correlation", "Is stopping safe here?", html::correlation_section},
    {"population", "Population", html::population_section},
    {"ablation", "From the default to the best", html::ablation_section},
    {"samples", "Sample outputs", html::samples_section},
    {"trials", "All trials", html::trials_section},
    {"provenance", "Versions, hashes, seeds", html::provenance_section},
};

void require_section(const std::string& id) {
  std::vector<std::string> known;
  for (const Section& section : kSections) known.emplace_back(section.id);
  if (std::ranges::count(known, id) == 0)
    throw bad_input("", "the report has no section " + id + "; it has " + join(known, ", ") + did_you_mean(id, known));
}

// The folder's own name: the whole path stands below.
std::string title(const ReportFacts& study) {
  const std::filesystem::path path = std::filesystem::path(study.model).lexically_normal();
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  return html::escape(name.empty() ? study.model : name);
}

std::string subtitle(const ReportFacts& study) {
  std::string text =
      fmt::format("{}, sampler {}, scheduler {}, {} step{} a trial. Model {}; training data {}; validation {}. {}.",
                  trials_text(study.trials.size()), study.sampler, study.scheduler, study.full_steps,
                  study.full_steps == 1 ? "" : "s", study.model, study.train_data, study.valid_data, study.device);
  return "<p class=\"soft\">" + html::escape(text) + "</p>";
}

std::string notices(const ReportFacts& study) {
  std::string html;
  if (study.running)
    html += "<p class=\"notice\" role=\"status\">The study is running; this page loads itself again once a minute.</p>";
  if (study.interrupted) html += "<p class=\"notice\">The study was interrupted; this is what there was.</p>";
  if (!study.stopped_by.empty())
    html += "<p class=\"notice\">The study was ended by tune.budget." + html::escape(study.stopped_by) + ".</p>";
  if (const std::string text = last_look_text(study); !text.empty())
    html += "<p class=\"notice\">" + html::escape(text) + "</p>";
  return html;
}

}  // namespace

std::string report_html(const ReportFacts& study, const std::string& only) {
  std::string navigation, body;
  if (!only.empty()) require_section(only);
  for (const Section& section : kSections) {
    if (!only.empty() && only != section.id) continue;
    const std::string content = section.make(study);
    if (content.empty()) continue;
    navigation += fmt::format("<a href=\"#{}\">{}</a> ", section.id, section.title);
    body +=
        fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-title\"><h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n",
                    section.id, section.title, content);
  }
  if (!only.empty() && body.empty()) throw bad_input("", "this study has nothing to say of " + only);
  const std::string header = "<header><h1>Study of " + title(study) + "</h1>" + subtitle(study) + notices(study) +
                             "<nav aria-label=\"Sections\">" + navigation + "</nav></header>\n";
  return std::string("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" ") +
         "content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>" +
         title(study) + " - finetune_tune</title><style>" + html::kStyle + "</style></head>\n<body" +
         (study.running ? " data-running" : "") + ">" + (only.empty() ? header : "") + "<main>\n" + body +
         "</main><div id=\"tip\" role=\"status\" hidden></div>\n<script>" + html::kScript + "</script></body></html>\n";
}

}  // namespace finetune
