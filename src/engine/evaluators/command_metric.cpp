#include "engine/evaluators/command_metric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/number.h"
#include "core/program.h"
#include "data/completion.h"

namespace finetune {
namespace {

constexpr std::size_t kShown = 2000;

std::string json_lines(const std::vector<JudgedText>& texts) {
  std::string lines;
  for (const JudgedText& text : texts) {
    const nlohmann::ordered_json line{
        {"prompt", text.prompt}, {"reference", text.reference}, {"prediction", text.prediction}};
    // Half a character, where the tokens were over, is no JSON.
    lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return lines;
}

std::string last_of(const std::string& text) {
  const std::string all = stripped(text);
  return all.size() <= kShown ? all : "... " + all.substr(all.size() - kShown);
}

}  // namespace

double judge_by_command(const std::vector<JudgedText>& texts, const CommandOptions& options) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "texts.jsonl";
  write_file_atomically(file, json_lines(texts));
  std::vector<std::string> words = options.command;
  words.push_back(file.string());
  const ProgramResult ran = run_program(words, {.seconds = options.seconds, .interrupted = options.interrupted});
  if (ran.interrupted) throw Interrupted();
  const std::string printed = stripped(ran.output);
  const auto value = number_from_text(printed);
  if (ran.problem.empty() && value && std::isfinite(*value)) return *value;
  std::string line = printed.substr(0, 80);
  std::ranges::replace(line, '\n', ' ');
  const std::string problem = !ran.problem.empty() ? ran.problem
                              : printed.empty()    ? "prints nothing; it has to print a number"
                                                   : "prints \"" + line + "\", which is no number";
  const std::string error = last_of(ran.error);
  options.say("tune.command: " + options.command.front() + " " + problem +
              (error.empty() ? "" : "; it wrote:\n" + error));
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace finetune
