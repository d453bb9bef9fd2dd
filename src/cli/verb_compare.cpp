#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/text.h"
#include "host/compare.h"
#include "host/compare/simulated.h"
#include "host/run_paths.h"
#include "host/shared_run.h"

namespace finetune {
namespace {

constexpr std::int64_t kMostSeeds = 1000, kMostWidth = 4096;
constexpr const char* kSimulatedTitle = "# Methods side by side, on simulated LoRA curves\n\n";
constexpr const char* kTitle = "# Methods side by side\n\n";
constexpr const char* kSimulatedNote =
    "Seconds are the simulation's own: they hold the tuner's decisions, no training.\n";

std::int64_t whole_of(const std::string& flag, const std::string& text, std::int64_t most) {
  const auto number = number_from_text(text);
  if (!number || !(*number >= 1 && *number <= static_cast<double>(most)) ||
      *number != static_cast<double>(static_cast<std::int64_t>(*number)))
    throw bad_input(flag, "must be a whole number from 1 to " + std::to_string(most) + ", not " + text);
  return static_cast<std::int64_t>(*number);
}

std::vector<std::string> names_of(const std::string& flag, const std::string& text, const std::string& example) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const auto& part : split(text, ',')) {
    const std::string name(trim(part));
    if (name.empty()) throw bad_input(flag, "has an empty name; write " + flag + " " + example);
    if (!seen.insert(name).second) throw bad_input(flag, "names " + name + " twice");
    names.push_back(name);
  }
  return names;
}

CompareOptions options_of(const Arguments& arguments) {
  CompareOptions options{.methods = names_of("--methods", arguments.option("--methods"), "random,gp"),
                         .seeds = whole_of("--seeds", arguments.option("--seeds"), kMostSeeds)};
  if (!arguments.has("--concurrency")) return options;
  for (const auto& width : names_of("--concurrency", arguments.option("--concurrency"), "4,16"))
    options.widths.push_back(whole_of("--concurrency", width, kMostWidth));
  return options;
}

// The simulated form would not read them, and a user may believe that it does.
void refuse_data_flags(const Arguments& arguments) {
  const auto refuse = [](const std::string& flag) {
    throw bad_input(flag, "has no meaning with --simulate, which plays made-up curves; leave one of them out");
  };
  for (const auto& [key, text] : arguments.sources.settings) {
    if (key == "model.path") refuse("--model");
  }
  for (const auto& [key, texts] : arguments.sources.lists) {
    if (key == "data.train") refuse("--train");
    if (key == "data.valid") refuse("--valid");
    if (key == "run.devices") refuse("--devices");
  }
}

nlohmann::ordered_json run_json(const ComparedRun& run, Direction direction) {
  nlohmann::ordered_json json{{"method", run.method}, {"seed", run.seed}, {"concurrent", run.concurrent}};
  json["best"] = run.best ? number_to_json(to_minimized(*run.best, direction)) : nlohmann::ordered_json();
  json["params"] = to_json(run.params);
  json["trials"] = run.trials;
  json["steps"] = run.steps;
  json["seconds"] = run.seconds.value_or(0);
  return json;
}

void write_table(const std::filesystem::path& out, const std::string& title, const std::string& text,
                 const nlohmann::ordered_json& json) {
  write_file_atomically(out / "compare.md", title + text);
  write_file_atomically(out / "compare.json", json.dump(2) + "\n");
}

int run_simulated(Arguments arguments, const CompareOptions& options) {
  refuse_data_flags(arguments);
  arguments.verb.required = {"run.out"};
  const RunConfig config = prepare_config(arguments);
  refuse_study_url(config, "compare");
  check_paths({.run = config.run}, true, arguments.overwrite());
  const ComparisonTable table = compare_simulated(config, options);
  make_out(config.run.out, arguments.overwrite());
  const std::string text = table_markdown(table) + kSimulatedNote;
  write_table(config.run.out, kSimulatedTitle, text, table_json(table));
  std::cout << (arguments.json() ? table_json(table).dump(2) + "\n" : text);
  return 0;
}

int run_measured(const Arguments& arguments, const CompareOptions& options) {
  const RunConfig config = prepare_config(arguments);
  refuse_study_url(config, "compare");
  const InterruptGuard guard;
  nlohmann::ordered_json runs_json = nlohmann::ordered_json::array();
  const auto write = [&](const ComparisonTable& table) {
    nlohmann::ordered_json json = table_json(table);
    json["runs"] = runs_json;
    write_table(config.run.out, kTitle, table_markdown(table), json);
    return json;
  };
  const CompareHooks hooks{.stop = InterruptGuard::requested,
                           .say = [](const std::string& line) { std::cerr << line + "\n"; },
                           .on_study =
                               [&](const ComparisonTable& table, std::span<const ComparedRun> runs) {
                                 runs_json.push_back(run_json(runs.back(), table.direction));
                                 write(table);
                               }};
  const ComparisonTable table = compare(config, options, hooks, arguments.overwrite());
  const nlohmann::ordered_json json = write(table);  // also when no study ended
  std::cout << (arguments.json() ? json.dump(2) + "\n" : table_markdown(table));
  return InterruptGuard::requested() ? 130 : 0;
}

int run_compare(const Arguments& arguments) {
  const CompareOptions options = options_of(arguments);
  return arguments.has("--simulate") ? run_simulated(arguments, options) : run_measured(arguments, options);
}

}  // namespace

Verb compare_verb() {
  return {.name = "compare",
          .help = "several methods of tuning side by side under the same budget, one table",
          .example =
              "finetune_tune compare --methods random,gp,hyperband,optuna --seeds 3 --model models/qwen --train "
              "train.jsonl --steps 100 --trials 16 --out runs/methods",
          .flags = training_flags("budget of a study in full trials") +
                   std::vector<Flag>{
                       {.name = "--methods",
                        .value = "LIST",
                        .help = "names as tune.method takes them; commas between",
                        .standard = "grid,random,gp,hyperband,optuna,pbt"},
                       {.name = "--seeds", .value = "N", .help = "studies a method, from --seed on", .standard = "5"},
                       {"--concurrency", "LIST",
                        "trials side by side; commas between several, of which the first fills the main columns"},
                       {.name = "--simulate",
                        .help = "on simulated learning curves of a LoRA sweep: no model, no data",
                        .takes = Flag::Takes::nothing}} +
                   out_flags(),
          .required = {"model.path", "data.train", "run.out"},
          .run = run_compare};
}

}  // namespace finetune
