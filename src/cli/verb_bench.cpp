#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/show_bench.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "engine/session.h"
#include "engine/shapes.h"
#include "host/bench.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

std::int64_t whole_number(const std::string& flag, const std::string& text, std::int64_t least, std::int64_t most) {
  const auto value = number_from_text(text);
  if (!value || *value != static_cast<double>(static_cast<std::int64_t>(*value)) ||
      *value < static_cast<double>(least) || *value > static_cast<double>(most))
    throw bad_input("", flag + " " + text + ": expected a whole number from " + std::to_string(least) + " to " +
                            std::to_string(most));
  return static_cast<std::int64_t>(*value);
}

constexpr std::int64_t kMostTrials = 1024, kMostTokens = 1 << 17;

// "200", or "100-300" for rows of any length between.
void take_length(BenchOptions& options, const std::string& text) {
  if (text.empty()) return;
  const auto dash = text.find('-', 1);
  const std::string flag = dash == std::string::npos ? "--length" : "--length " + text + ":";
  options.shortest = whole_number(flag, text.substr(0, dash), 2, kMostTokens);
  options.longest = dash == std::string::npos
                        ? options.shortest
                        : whole_number(flag, text.substr(dash + 1), options.shortest, kMostTokens);
}

void take_ranks(BenchOptions& options, const std::string& text) {
  if (text.empty()) return;
  if (options.config.train.full()) throw bad_input("", "--ranks has no meaning with train.method: full");
  for (const std::string& rank : split(text, ',')) options.ranks.push_back(whole_number("--ranks", rank, 1, 1024));
  if (std::ssize(options.ranks) > options.trials)
    throw bad_input("", "--ranks names " + std::to_string(options.ranks.size()) + " ranks for " +
                            std::to_string(options.trials) + " trials");
}

BenchOptions bench_options(const Arguments& arguments) {
  require_meaning(arguments, {"model.", "run.", "train.method", "train.lora."});
  BenchOptions options{.config = prepare_config(arguments), .shape = arguments.option("--shape")};
  options.trials = whole_number("--trials", arguments.option("--trials"), 1, kMostTrials);
  take_length(options, arguments.option("--length"));
  if (arguments.has("--batch")) options.batch = whole_number("--batch", arguments.option("--batch"), 1, 4096);
  options.seconds = static_cast<double>(whole_number("--seconds", arguments.option("--seconds"), 1, 3600));
  take_ranks(options, arguments.option("--ranks"));
  if (options.config.train.objective != ObjectiveName::sft)
    throw bad_input("", "train.objective: bench trains on random rows, which is sft; leave it out");
  const bool has_model = !options.config.model.path.empty();
  if (has_model == !options.shape.empty())
    throw bad_input(
        "", std::string(has_model ? "a model (--model, model.path) and --shape are both given; one of them is possible"
                                  : "give --model DIR, or --shape NAME: ") +
                (has_model ? "" : join(shape_names(), ", ")));
  if (has_model)
    check_paths(options.config, false, false);
  else
    shape_of("--shape", options.shape, 64);
  return options;
}

// What was typed, without --json.
std::string command_of(const Arguments& arguments) {
  std::string command = "finetune_tune bench";
  const auto add = [&](const std::string& name, const std::string& value) { command += " " + name + " " + value; };
  for (const auto& [key, value] : arguments.sources.settings) {
    if (key == "model.path")
      add("--model", value);
    else
      add("--set", key + "=" + value);
  }
  for (const auto& [key, values] : arguments.sources.lists) add("--devices", join(values, ","));
  for (const Flag& flag : arguments.verb.flags) {
    const std::string value = arguments.option(flag.name);
    if (flag.keys.empty() && !value.empty() && value != flag.standard) add(flag.name, value);
  }
  return command;
}

int run_bench_verb(const Arguments& arguments) {
  const BenchReport report = run_bench(bench_options(arguments), say_on_stderr);
  if (arguments.json())
    std::cout << to_json(report).dump() << "\n";
  else
    show_bench(std::cout, report, command_of(arguments), terminal_columns(STDOUT_FILENO));
  return report.packed.finite && report.alone.finite ? 0 : 1;
}

}  // namespace

Verb bench_verb() {
  return {.name = "bench",
          .help = "how fast training is here: tokens/s of trials packed and one by one, beside what the products allow",
          .example = "finetune_tune bench --shape qwen2.5-0.5b --trials 8",
          .flags = {model_flag(),
                    {"--shape", "NAME", "instead: random weights of a model's sizes: " + join(shape_names(), ", ")},
                    {.name = "--trials", .value = "N", .help = "side by side", .standard = "4"},
                    {"--length", "N", "tokens of a row, or A-B; by itself 1024 on a GPU, 64 on a CPU"},
                    {"--batch", "N", "rows of a trial's step; by itself a full pass on a GPU, 4 on a CPU"},
                    {"--ranks", "LIST", "of the trials in turn: 16,32,64; by itself train.lora.rank"},
                    {.name = "--seconds", .value = "N", .help = "of each measurement", .standard = "10"},
                    devices_flag()},
          .required = {},
          .run = run_bench_verb,
          .notes = "--set model.dtype, run.kernels, run.lanes and train.method say what is measured."};
}

}  // namespace finetune
