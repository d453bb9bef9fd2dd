#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/compare/simulated.h"
#include "cli/prepare.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr std::int64_t kMostSeeds = 1000;
constexpr const char* kNote = "Seconds are the simulation's own: they hold the tuner's decisions, no training.\n";

std::int64_t seeds_of(const std::string& text) {
  const auto number = number_from_text(text);
  if (!number || !(*number >= 1 && *number <= kMostSeeds) || *number != static_cast<double>(static_cast<int>(*number)))
    throw bad_input("--seeds", "must be a whole number from 1 to " + std::to_string(kMostSeeds) + ", not " + text);
  return static_cast<std::int64_t>(*number);
}

std::vector<std::string> methods_of(const std::string& text) {
  std::vector<std::string> methods;
  std::set<std::string> seen;
  for (const auto& part : split(text, ',')) {
    const std::string name(trim(part));
    if (name.empty()) throw bad_input("--methods", "has an empty name; write --methods random,gp");
    if (!seen.insert(name).second) throw bad_input("--methods", "names " + name + " twice");
    methods.push_back(name);
  }
  return methods;
}

}  // namespace

int run_compare(const Arguments& arguments) {
  if (!arguments.simulate)
    throw bad_input("", "compare cannot run on your own model yet: add --simulate, which plays simulated LoRA curves");
  const CompareOptions options{methods_of(arguments.methods), seeds_of(arguments.seeds)};
  const RunConfig config = prepare_config(arguments, {"run.out"});
  check_paths({.run = config.run}, true, arguments.overwrite);
  const ComparisonTable table = compare_simulated(config, options);
  make_out(config.run.out);
  const std::filesystem::path out = config.run.out;
  const std::string text = table_markdown(table) + kNote, json = table_json(table).dump(2);
  write_file_atomically(out / "compare.md", "# Methods side by side, on simulated LoRA curves\n\n" + text);
  write_file_atomically(out / "compare.json", json + "\n");
  std::cout << (arguments.json ? json + "\n" : text);
  return 0;
}

}  // namespace finetune
