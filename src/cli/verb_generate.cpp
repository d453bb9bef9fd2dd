#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/show_text.h"
#include "core/error.h"
#include "core/number.h"
#include "engine/session.h"
#include "host/generate.h"

namespace finetune {
namespace {

constexpr int kMostNewTokens = 1 << 20;

std::int64_t new_tokens(const Arguments& arguments) {
  const std::string text = arguments.option("--max-new-tokens");
  const double value = number_from_text(text).value_or(0);
  if (!(value >= 1 && value <= kMostNewTokens && value == std::floor(value)))
    throw bad_input("", "--max-new-tokens is " + text + "; a whole number from 1 to " + std::to_string(kMostNewTokens) +
                            " is possible");
  return static_cast<std::int64_t>(value);
}

// A run's configuration has them all; what is typed here is meant.
void refuse_idle_settings(const Arguments& arguments) {
  for (const auto& [key, text] : arguments.sources.settings) {
    for (const char* idle : {"data.max_length", "data.truncate", "data.train_on", "data.append_eos"}) {
      if (key == idle)
        throw bad_input("", key + " means nothing to generate: prompts are taken whole, and nothing is trained");
    }
  }
}

void require_one_source(const Arguments& arguments, const RunConfig& config) {
  const bool typed = arguments.has("--prompt");
  const auto is_data = [](const auto& given) { return given.first == "data.valid"; };
  const ConfigSources& sources = arguments.sources;
  const bool data = std::ranges::any_of(sources.settings, is_data) || std::ranges::any_of(sources.lists, is_data);
  if (typed && data) throw bad_input("", "--prompt and --data are given; one of them is possible");
  if (!typed && config.data.valid.empty()) throw bad_input("", "--prompt TEXT or --data FILE is missing");
}

std::string json_line(const PromptSet& prompts, std::size_t row, const Completion& completion) {
  const nlohmann::ordered_json json{
      {"prompt", prompts.rows[row].text}, {"completion", completion.text}, {"tokens", completion.ids.size()}};
  // Half a character, where the tokens are over, is no JSON.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Of several rows each has a line before it that says which it is.
std::string text_of(const PromptSet& prompts, std::size_t row, const Completion& completion, bool done) {
  const std::string heading = prompts.files.empty() ? "" : "# " + place_of_prompt(prompts, row) + "\n";
  return heading + completion.text + (done ? "\n" : "");
}

int show_interrupted(const Generated& made, RowPrinter& printer) {
  printer.end();
  const auto done = std::ranges::count_if(made.completions, [](const auto& text) { return text.has_value(); });
  std::cerr << "interrupted: " << done << " of " << made.completions.size() << " texts are done\n";
  return 130;
}

int run_generate(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  refuse_idle_settings(arguments);
  require_one_source(arguments, config);
  GenerateOptions options{.chat = arguments.has("--chat"),
                          .max_new_tokens = new_tokens(arguments),
                          .grows = !arguments.json() && isatty(STDOUT_FILENO) != 0};
  if (arguments.has("--prompt")) options.prompt = arguments.option("--prompt");
  if (arguments.has("--stop")) options.stop.push_back(arguments.option("--stop"));
  const InterruptGuard guard("ending with this token, and with the texts that are done");
  RowPrinter printer(options.grows, [](const std::string& text) { std::cout << text << std::flush; });
  const auto on_row = [&](const PromptSet& prompts, std::size_t row, const Completion& known, bool done) {
    const std::string text = arguments.json() ? json_line(prompts, row, known) : text_of(prompts, row, known, done);
    printer.on_row(row, text, done);
  };
  const Generated made =
      generate(config, options, {.say = say_on_stderr, .on_row = on_row, .stop = InterruptGuard::requested});
  return made.interrupted ? show_interrupted(made, printer) : 0;
}

}  // namespace

Verb generate_verb() {
  return {
      .name = "generate",
      .help = "continue prompts, greedily: the most likely token each time",
      .example = "finetune_tune generate --model models/qwen --adapter runs/first/best --chat --prompt 'Who are you?'",
      .flags =
          {model_flag(),
           adapter_flag(),
           {"--prompt", "TEXT", "what to continue"},
           {"--data",
            "FILE",
            "rows to continue, in the formats of training data: prompts, and conversations up to their last answer",
            {"data.valid"},
            Flag::Takes::many},
           {"--chat",
            "",
            "each prompt is a user's message, in the checkpoint's chat template",
            {},
            Flag::Takes::nothing},
           {"--max-new-tokens", "N", "of each text, at most", {}, Flag::Takes::one, "128"},
           {"--stop", "TEXT", "a text ends where this begins"},
           devices_flag()},
      .required = {"model.path"},
      .run = run_generate};
}

}  // namespace finetune
