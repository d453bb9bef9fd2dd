#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "config/fields.h"
#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr const char* kVersion = "finetune_tune 0.1.0";

struct VerbHelp {
  const char* name;
  const char* what;
  const char* example;
};
constexpr VerbHelp kVerbs[] = {
    {"tune", "search hyperparameters: many LoRA trials side by side over one frozen base",
     "finetune_tune --model models/qwen --train train.jsonl --valid dev.jsonl --out runs/first --trials 16 --steps "
     "100"},
    {"train", "train one configuration, no search",
     "finetune_tune train --config runs/first/best.yaml --out runs/again"},
    {"eval", "loss of a model, with or without an adapter, on a file",
     "finetune_tune eval --model models/qwen --adapter runs/first/best --data test.jsonl --json"},
    {"check", "read everything, train nothing: what will be trained on, rejects, memory, time",
     "finetune_tune check --model models/qwen --train train.jsonl"},
    {"tokenize", "JSON strings on stdin, lists of ids on stdout",
     "echo '\"hello\"' | finetune_tune tokenize --model models/qwen"},
    {"detokenize", "lists of ids on stdin, JSON strings on stdout",
     "echo '[1, 42]' | finetune_tune detokenize --model models/qwen"},
    {"export", "merge an adapter into its base: a HuggingFace checkpoint",
     "finetune_tune export --model models/qwen --adapter runs/first/best --out merged"},
    {"report", "write the report of a run again", "finetune_tune report runs/first"},
    {"resume", "go on with a run that was interrupted", "finetune_tune resume runs/first"},
    {"asktell", "the tuner alone, for an objective in any language: JSON lines on stdin and stdout",
     "finetune_tune asktell --config space.yaml"},
    {"compare", "several methods of tuning side by side under the same budget, one table",
     "finetune_tune compare --methods random,gp,hyperband,optuna --seeds 3 --model models/qwen --train train.jsonl "
     "--steps 100 --trials 16 --out runs/methods"},
    {"demo", "make a small model and data, tune on them, print the report", "finetune_tune demo --out runs/demo"}};

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (const auto& verb : kVerbs) names.emplace_back(verb.name);
  return names;
}

// What the flags collect before they become configuration keys.
struct Raw {
  std::string config, model, out, data, steps, trials, seed;
  std::vector<std::string> train, valid, devices, settings;
};

void add_flags(CLI::App& app, const std::string& verb, Raw& raw, Arguments& arguments) {
  app.add_flag("--json", arguments.json, "the result as one JSON object on stdout");
  app.add_option("--config", raw.config, "configuration file (YAML)")->type_name("FILE");
  app.add_option("--set", raw.settings, "one configuration key: a.b=value")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
  const bool compares = verb == "compare";
  const bool trains = verb == "tune" || verb == "train" || verb == "check";
  if (trains || compares || verb == "eval" || verb == "tokenize" || verb == "detokenize" || verb == "export") {
    app.add_option("--model", raw.model, "HuggingFace checkpoint folder")->type_name("DIR");
  }
  if (trains || compares) {
    app.add_option("--train", raw.train, "training data; may be repeated")->type_name("FILE")->take_all()->expected(1);
    app.add_option("--valid", raw.valid, "validation data; may be repeated")
        ->type_name("FILE")
        ->take_all()
        ->expected(1);
  }
  if (trains || compares) {
    app.add_option("--steps", raw.steps, "optimizer steps of a full trial")->type_name("N");
    app.add_option("--trials", raw.trials, compares ? "budget of a study in full trials" : "trials to start")
        ->type_name("N");
    app.add_option("--seed", raw.seed, "of training and of the tuner")->type_name("N");
  }
  if (compares) {
    app.add_option("--methods", arguments.methods, "names as tune.method takes them; commas between")
        ->type_name("LIST")
        ->capture_default_str();
    app.add_option("--seeds", arguments.seeds, "studies a method, from --seed on")
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--concurrency", arguments.concurrency,
                   "trials side by side; commas between several, of which the first fills the main columns")
        ->type_name("LIST");
    app.add_flag("--simulate", arguments.simulate, "on simulated learning curves of a LoRA sweep: no model, no data");
  }
  if (trains || compares || verb == "eval")
    app.add_option("--devices", raw.devices, "cpu, cuda:0 ...; commas between several")
        ->type_name("LIST")
        ->take_all()
        ->expected(1);
  if (verb == "eval" || verb == "export")
    app.add_option("--adapter", arguments.adapter, "PEFT adapter folder")->type_name("DIR");
  if (verb == "eval") {
    app.add_option("--data", raw.data, "what to evaluate on")->type_name("FILE");
    app.add_option("--per-example", arguments.per_example, "write tokens, loss tokens and nll of each line")
        ->type_name("FILE");
  }
  if (verb == "tune" || verb == "train" || verb == "export" || verb == "demo" || verb == "check" || compares) {
    app.add_option("--out", raw.out, "folder for the results")->type_name("DIR");
    app.add_flag("--overwrite", arguments.overwrite, "replace what is in --out");
  }
  if (verb == "tokenize")
    app.add_flag("--no-special", arguments.no_special, "without the tokens that the post-processor adds");
  if (verb == "report" || verb == "resume")
    app.add_option("folder", arguments.folder, "folder of a run")->type_name("DIR");
}

std::string keys_help(const std::string& verb) {
  if (verb != "tune" && verb != "train" && verb != "check" && verb != "compare") return "";
  std::string text = "\nConfiguration keys (--set KEY=VALUE, or nested in --config FILE.yaml):\n";
  for (const auto& field : config_fields())
    text += "  " + field.key + std::string(field.key.size() < 26 ? 26 - field.key.size() : 1, ' ') + field.help + "\n";
  return text +
         "  search.KEY                {low: 2e-5, high: 2e-3, log: true, start: 3e-4} or {choices: [8, 16, 32], type: "
         "ordinal}\n";
}

void move_to_sources(const Raw& raw, ConfigSources& sources) {
  sources.file = raw.config;
  for (const auto& setting : raw.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) throw bad_input("", "--set " + setting + ": expected KEY=VALUE");
    sources.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  const auto shorthand = [&](const std::string& text, const char* key) {
    if (!text.empty()) sources.settings.emplace_back(key, text);
  };
  if (!raw.train.empty()) sources.lists.emplace_back("data.train", raw.train);
  if (!raw.valid.empty()) sources.lists.emplace_back("data.valid", raw.valid);
  if (!raw.data.empty()) sources.lists.emplace_back("data.valid", std::vector<std::string>{raw.data});
  std::vector<std::string> devices;
  for (const auto& list : raw.devices) {
    for (const auto& name : split(list, ',')) devices.push_back(name);
  }
  if (!devices.empty()) sources.lists.emplace_back("run.devices", devices);
  shorthand(raw.model, "model.path");
  shorthand(raw.out, "run.out");
  shorthand(raw.steps, "train.steps");
  shorthand(raw.trials, "tune.trials");
  shorthand(raw.seed, "train.seed");
  shorthand(raw.seed, "tune.seed");
}

// The verb is the first word; without one it is tune.
std::string take_verb(std::vector<std::string>& words) {
  if (words.empty() || words.front().starts_with("-")) return "tune";
  const std::string word = words.front();
  const auto names = verb_names();
  if (std::find(names.begin(), names.end(), word) == names.end()) {
    throw bad_input("", "unknown verb " + word + did_you_mean(word, names) + "; verbs: " + join(names, ", "));
  }
  words.erase(words.begin());
  return word;
}

void print_overview() {
  std::cout << "finetune_tune: fine-tune a transformer and tune its hyperparameters in one process\n\n";
  for (const auto& verb : kVerbs)
    std::cout << "  " << verb.name << std::string(12 - std::string(verb.name).size(), ' ') << verb.what << "\n";
  std::cout << "\nfinetune_tune VERB --help says more.\n\n";
}

void refuse_leftovers(const CLI::App& app) {
  const auto left = app.remaining();
  if (left.empty()) return;
  std::vector<std::string> flags;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) flags.push_back("--" + name);
  }
  const std::string name = left.front().substr(0, left.front().find('='));
  if (!name.starts_with("-")) throw bad_input("", "unexpected argument " + left.front());
  throw bad_input("", "unknown flag " + name + did_you_mean(name, flags));
}

}  // namespace

Arguments parse_arguments(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  Arguments arguments;
  arguments.verb = take_verb(words);
  const VerbHelp* help = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                      [&](const VerbHelp& verb) { return arguments.verb == verb.name; });
  CLI::App app(std::string(help->what), "finetune_tune " + arguments.verb);
  app.allow_extras();
  app.footer(std::string("Example:\n  ") + help->example + "\n" + keys_help(arguments.verb));
  Raw raw;
  add_flags(app, arguments.verb, raw, arguments);
  bool version = false;
  app.add_flag("--version", version, "print the version");
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  const bool bare = argc == 1 || (argc == 2 && std::string(argv[1]) == "--help");
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    if (bare) print_overview();
    std::cout << app.help();
    arguments.done = true;
    return arguments;
  } catch (const CLI::ParseError& error) {
    throw bad_input("", error.what());
  }
  if (version) {
    std::cout << kVersion << "\n";
    arguments.done = true;
    return arguments;
  }
  refuse_leftovers(app);
  move_to_sources(raw, arguments.sources);
  return arguments;
}

}  // namespace finetune
