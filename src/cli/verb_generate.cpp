#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/show_text.h"
#include "core/error.h"
#include "core/number.h"
#include "data/answer.h"
#include "data/data_files.h"
#include "data/dataset_notes.h"
#include "engine/generate_text.h"
#include "engine/open_data.h"
#include "engine/session.h"
#include "host/run_paths.h"

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

DataOptions prompt_options(const RunConfig& config) {
  return data_options(config, {.trains = false, .holds_out = false});
}

PromptSet open_prompts(const Arguments& arguments, RunConfig& config, const Tokenizer& tokenizer,
                       std::vector<std::string>& notes) {
  const bool chat = arguments.has("--chat");
  const DataOptions options = prompt_options(config);
  if (arguments.has("--prompt")) return prompt_of(arguments.option("--prompt"), options, tokenizer, chat);
  return load_prompts(data_files(paths_of(config.data.valid), Split::valid, "--data", notes), options, tokenizer, chat);
}

std::string where_of(const PromptSet& prompts, std::size_t row) {
  return prompts.files.empty() ? "--prompt" : place_of(prompts, row);
}

void say_what_is_assumed(const PromptSet& prompts, const DataOptions& options,
                         const std::vector<std::int32_t>& end_ids) {
  if (!prompts.chat_template.empty()) std::cerr << chat_template_note(prompts.chat_template, options) << "\n";
  if (end_ids.empty()) std::cerr << "the checkpoint names no end token: texts end at --max-new-tokens, or at --stop\n";
}

std::string json_line(const PromptSet& prompts, std::size_t row, const Completion& completion) {
  const nlohmann::ordered_json json{
      {"prompt", prompts.rows[row].text}, {"completion", completion.text}, {"tokens", completion.ids.size()}};
  // Half a character, where the tokens are over, is no JSON.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Of several rows each has a line before it that says which it is.
std::string text_of(const PromptSet& prompts, std::size_t row, const Completion& completion, bool done) {
  const std::string heading = prompts.files.empty() ? "" : "# " + where_of(prompts, row) + "\n";
  return heading + completion.text + (done ? "\n" : "");
}

void say_cut_off(const std::vector<Completion>& completions, std::int64_t positions) {
  const auto cut =
      std::ranges::count_if(completions, [](const Completion& c) { return c.at_last_position && !c.ended; });
  if (cut == 0) return;
  std::cerr << (completions.size() == 1 ? "the text ends" : std::to_string(cut) + " texts end") << " at the model's "
            << positions << " positions\n";
}

int run_generate(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments);
  refuse_idle_settings(arguments);
  config.data.train.clear();  // of the run whose configuration this is
  require_one_source(arguments, config);
  check_paths(config, false, false);
  TextOptions options;
  options.max_new_tokens = new_tokens(arguments);
  if (arguments.has("--stop")) options.stop.push_back(arguments.option("--stop"));
  std::vector<std::string> notes;
  OpenedModel model = open_model(config, notes);
  const PromptSet prompts = open_prompts(arguments, config, *model.tokenizer, notes);
  if (prompts.rows.empty()) throw bad_input(prompts.files.front(), "there is no row");
  options.end_ids = end_ids_for(config.model.path, model.checkpoint.options.vocab_size, *model.tokenizer, prompts);
  copy_to_devices(model);
  for (const auto& note : notes) std::cerr << note << "\n";
  say_what_is_assumed(prompts, prompt_options(config), options.end_ids);

  const auto where = [&](std::size_t row) { return where_of(prompts, row); };
  options.grows = !arguments.json() && isatty(STDOUT_FILENO) != 0;
  RowPrinter printer(options.grows, [](const std::string& text) { std::cout << text << std::flush; });
  const auto completions =
      generate_texts(model, prompts.rows, options, where, [&](std::size_t row, const Completion& known, bool done) {
        printer.on_row(row, arguments.json() ? json_line(prompts, row, known) : text_of(prompts, row, known, done),
                       done);
      });
  say_cut_off(completions, model.checkpoint.options.max_positions);
  return 0;
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
