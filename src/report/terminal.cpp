#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/memory_files.h"
#include "core/shell.h"
#include "core/text.h"
#include "report/facts.h"
#include "report/hints.h"
#include "report/words.h"

namespace finetune {
namespace {

std::string best_text(const ReportFacts& study) {
  switch (study.best_weights) {
    case BestWeights::adapter:
      return fmt::format("adapter  {}/best   (PEFT; of trial {} after step {})\n", study.folder,
                         study.trials[*study.best].id, study.trials[*study.best].step);
    case BestWeights::model:
      return fmt::format("model    {}/best   (HuggingFace checkpoint; of trial {} after step {})\n", study.folder,
                         study.trials[*study.best].id, study.trials[*study.best].step);
    case BestWeights::none:
      break;
  }
  return "";
}

constexpr std::size_t kMostFiles = 4;  // of one command

bool are_rows(const std::vector<std::string>& files) {
  return std::ranges::any_of(files, is_memory_file);
}

// Files that are there, as a shell reads them, and what scoring them says.
std::pair<std::string, std::string> data_to_score(const ReportFacts& study) {
  const std::size_t files = study.valid_files.size();
  if (are_rows(study.valid_files) || (files == 0 && are_rows(study.train_files)))
    return {"FILE", "score it on data of yours"};
  if (files > kMostFiles)
    return {shell_word(study.valid_files.front()), "score it on the first file of its validation data, or on yours"};
  if (files > 0) {
    std::vector<std::string> words;
    for (const std::string& file : study.valid_files) words.push_back(shell_word(file));
    return {join(words, " --data "), "score it on all of its validation data, or on data of yours"};
  }
  if (!study.train_files.empty())
    return {shell_word(study.train_files.front()), "score it on the file it was trained on, or on data of yours"};
  return {"FILE", "score it on other data"};
}

// A quantised base is another one than the checkpoint's own: what says so.
std::string base_settings(const ReportFacts& study) {
  std::string settings;
  for (const auto& [name, value] : study.provenance)
    if (name == "model.quantize" || name == "model.double_quantize") settings += " --set " + name + "=" + value;
  return settings;
}

std::string python_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// Rows that a Python program held are no files for another: they are given again, `data={"train": rows}`. "" for files.
std::string rows_given_again(const ReportFacts& study) {
  std::vector<std::string> splits;
  if (are_rows(study.train_files)) splits.emplace_back(R"("train": rows)");
  if (are_rows(study.valid_files)) splits.emplace_back(R"("valid": rows)");
  return splits.empty() ? "" : "data={" + join(splits, ", ") + "}";
}

NextStep to_resume(const std::string& folder, const std::string& rows) {
  if (rows.empty()) return {"finetune_tune resume " + shell_word(folder), "go on where it was interrupted"};
  return {"finetune_tune.resume(" + python_text(folder) + ", " + rows + ")",
          "go on where it was interrupted, in Python, with the same rows"};
}

NextStep to_train_again(const std::string& folder, const std::string& config, const std::string& rows) {
  const std::string again = folder + "-again";
  if (rows.empty())
    return {"finetune_tune train " + config + " --out " + shell_word(again), "train it again: the same bytes"};
  return {"finetune_tune.train(" + python_text(folder + "/best.yaml") + ", " + rows +
              ", run={\"out\": " + python_text(again) + "})",
          "train it again, in Python, with the same rows: the same bytes"};
}

std::string load_in_python(const ReportFacts& study, const std::string& best) {
  const std::string text = python_text(best);
  switch (study.best_weights) {
    case BestWeights::adapter:
      return "python3 -c " + shell_word(
                                 "from peft import AutoPeftModelForCausalLM as Model; "
                                 "model = Model.from_pretrained(" +
                                 text + ")");
    case BestWeights::model:
      return "python3 -c " + shell_word(
                                 "from transformers import AutoModelForCausalLM as Model; "
                                 "model = Model.from_pretrained(" +
                                 text + ")");
    case BestWeights::none:
      break;
  }
  return "";
}

}  // namespace

std::vector<NextStep> next_steps(const ReportFacts& study) {
  std::vector<NextStep> steps;
  std::string folder = study.folder;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const std::string best = shell_word(folder + "/best"), model = shell_word(study.model);
  const std::string rows = rows_given_again(study);
  if (study.can_resume) steps.push_back(to_resume(folder, rows));
  // The configuration says how the data is read: prompt, template, length.
  const std::string config = study.has_best_yaml ? "--config " + shell_word(folder + "/best.yaml") : "";
  const auto [data, scored] = data_to_score(study);
  if (study.best_weights == BestWeights::adapter) {
    steps.push_back({"finetune_tune eval " + (config.empty() ? "--model " + model + base_settings(study) : config) +
                         " --adapter " + best + " --data " + data,
                     scored});
    steps.push_back({"finetune_tune export --model " + model + base_settings(study) + " --adapter " + best + " --out " +
                         shell_word(folder + "-merged"),
                     "base and adapter as one checkpoint"});
  } else if (study.best_weights == BestWeights::model) {
    steps.push_back(
        {"finetune_tune eval " + (config.empty() ? "" : config + " ") + "--model " + best + " --data " + data, scored});
  }
  if (study.has_best_yaml) steps.push_back(to_train_again(folder, config, rows));
  if (const std::string python = load_in_python(study, folder + "/best"); !python.empty())
    steps.push_back({python, "load it in Python"});
  return steps;
}

std::string report_text(const ReportFacts& study, std::size_t width) {
  std::string text;
  if (study.profile) text = join(profile_lines(*study.profile, width), "\n") + "\n";
  text += verdict(study) + "\n";
  if (study.interrupted) text += "The study was interrupted; this is what there was.\n";
  if (study.best) {
    for (const auto& [name, value] : study.trials[*study.best].params)
      text += fmt::format("  {} = {}\n", name, to_text(value));
    if (const std::string further = further_text(study.trials[*study.best]); !further.empty())
      text += "  further metrics: " + further + "\n";
  }
  for (const auto& [hint, evidence] : hints_to_show(study)) text += fmt::format("hint: {} ({})\n", hint, evidence);
  for (const std::string& sentence : {last_look_text(study), audit_text(study), rung_agreement_text(study)})
    text += sentence.empty() ? "" : sentence + "\n";
  text +=
      fmt::format("{}; {} steps ({} saved by stopping), {} tokens, {:.1f} s\n", states_text(study),
                  with_commas(study.steps), with_commas(study.saved_steps), with_commas(study.tokens), study.seconds);
  text += best_text(study);
  text += fmt::format("report   {0}/report.html, report.md, report.json\n", study.folder);
  const std::vector<NextStep> steps = next_steps(study);
  std::size_t longest = 0;
  for (const auto& step : steps) longest = std::max(longest, step.command.size());
  if (!steps.empty()) text += "next:\n";
  for (const auto& [command, what] : steps) text += fmt::format("  {:<{}}   # {}\n", command, longest, what);
  return text;
}

}  // namespace finetune
