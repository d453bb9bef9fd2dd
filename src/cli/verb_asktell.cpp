#include <chrono>
#include <iostream>
#include <string>

#include "cli/asktell.h"
#include "cli/prepare.h"
#include "cli/tuner_setup.h"
#include "config/config.h"
#include "config/search_fields.h"
#include "core/error.h"
#include "tuners/asktell/session.h"

namespace finetune {
namespace {

// The keys that a saved state depends on. Trials, concurrency and budgets may differ: a study can be prolonged.
nlohmann::ordered_json identity_of(const RunConfig& config) {
  const auto part = [](const TunerPart& p) {
    nlohmann::ordered_json json{{"name", p.name}};
    for (const auto& [option, value] : p.options) json[option] = to_json(value);
    return json;
  };
  return {{"search", to_yaml(search_node(config.search))},
          {"tune.sampler", part(*config.tune.sampler)},
          {"tune.scheduler", part(*config.tune.scheduler)},
          {"tune.direction", config.tune.direction == Direction::minimize ? "minimize" : "maximize"},
          {"tune.steps", config.tune.steps},
          {"tune.seed", config.tune.seed}};
}

}  // namespace

AskTellSetup asktell_setup(const RunConfig& config) {
  AskTellSetup setup;
  setup.make_tuner = [config] { return make_tuner(config, config.tune.concurrent, true); };
  setup.steps = config.tune.steps;
  setup.direction = config.tune.direction;
  setup.identity = identity_of(config);
  if (const auto seconds = config.tune.budget.seconds) {
    const auto started = std::chrono::steady_clock::now();
    setup.out_of_time = [=] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() >= *seconds;
    };
  }
  return setup;
}

int run_asktell(RunConfig config, std::istream& in, std::ostream& out) {
  if (config.search.empty()) throw bad_input("", "search is missing: asktell needs parameters to tune");
  if (config.tune.budget.tokens) throw bad_input("", "tune.budget.tokens has no meaning here: asktell sees no tokens");
  choose_defaults(config, {.asktell = true});
  const auto choice = settle_method(config, {.asktell = true});
  AskTellSession session(asktell_setup(config));
  if (choice) std::cerr << "method auto: " << *choice << "\n";
  std::string line;
  while (std::getline(in, line)) out << session.answer(line) << '\n' << std::flush;
  return 0;
}

int run_asktell(const Arguments& arguments) {
  if (arguments.sources.file.empty()) throw bad_input("", "--config FILE is missing");
  RunConfig config = prepare_config(arguments, {}, true);
  std::ios::sync_with_stdio(false);
  try {
    return run_asktell(std::move(config), std::cin, std::cout);
  } catch (const Error& error) {
    const std::string& file = arguments.sources.file;
    if (error.kind() != ErrorKind::bad_input || std::string(error.what()).starts_with(file)) throw;
    throw bad_input(file, error.what());
  }
}

}  // namespace finetune
