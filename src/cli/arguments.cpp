#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>

#include "cli/flags.h"
#include "config/fields.h"
#include "core/error.h"
#include "core/text.h"
#include "core/version.h"

namespace finetune {
namespace {

// What one flag was given on the command line.
struct Given {
  Flag flag;
  std::vector<std::string> texts;
  bool on = false;
};

// CLI11 writes into `given`, which must not move while it parses.
void add_flag(CLI::App& app, Given& given) {
  const Flag& flag = given.flag;
  if (flag.takes == Flag::Takes::nothing) {
    app.add_flag(flag.name, given.on, flag.help);
    return;
  }
  CLI::Option* option = app.add_option(flag.name, given.texts, flag.help)->type_name(flag.value)->expected(1);
  if (!flag.standard.empty()) option->default_str(flag.standard);
  if (flag.takes != Flag::Takes::one) option->take_all();  // one that is given twice is an error
}

std::string keys_help() {
  std::string text = "\nConfiguration keys (--set KEY=VALUE, or nested in --config FILE.yaml):\n";
  for (const auto& field : config_fields())
    text += "  " + field.key + std::string(field.key.size() < 26 ? 26 - field.key.size() : 1, ' ') + field.help + "\n";
  return text +
         "  search.KEY                {low: 2e-5, high: 2e-3, log: true, start: 3e-4} or {choices: [8, 16, 32], type: "
         "ordinal}\n";
}

std::vector<std::string> split_all(const std::vector<std::string>& lists) {
  std::vector<std::string> names;
  for (const auto& list : lists) {
    for (const auto& name : split(list, ',')) names.push_back(name);
  }
  return names;
}

void take(Arguments& arguments, const Given& given) {
  const Flag& flag = given.flag;
  const bool list = flag.takes == Flag::Takes::many || flag.takes == Flag::Takes::many_commas;
  for (const std::string& text : given.texts)
    if (text.empty()) throw bad_input("", flag.name + " is given, and empty");
  if (flag.keys.empty()) {
    const std::string text = given.on ? "on" : given.texts.empty() ? flag.standard : given.texts.back();
    arguments.options[flag.name] = text;
  } else if (given.on) {
    for (const auto& key : flag.keys) arguments.sources.settings.emplace_back(key, "true");
  } else if (!given.texts.empty() && list) {
    for (const auto& key : flag.keys)
      arguments.sources.lists.emplace_back(
          key, flag.takes == Flag::Takes::many_commas ? split_all(given.texts) : given.texts);
  } else if (!given.texts.empty()) {
    for (const auto& key : flag.keys) arguments.sources.settings.emplace_back(key, given.texts.back());
  }
}

void take_settings(ConfigSources& sources, const std::vector<std::string>& settings) {
  for (const auto& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) throw bad_input("", "--set " + setting + ": expected KEY=VALUE");
    sources.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
}

// Of a flag and a --set, or two of the latter, one would be passed over.
void refuse_repeated(const ConfigSources& sources, const std::vector<Given>& given) {
  std::map<std::string, std::string> seen;  // by key what said it
  const auto add = [&](const std::string& key, const std::string& by) {
    const auto [before, fresh] = seen.try_emplace(key, by);
    if (fresh) return;
    const std::string twice = before->second == by ? by + " twice" : before->second + " and by " + by;
    throw bad_input("", key + " is given by " + twice + "; one of them is possible");
  };
  for (const Given& one : given) {
    if (!one.on && one.texts.empty()) continue;
    for (const std::string& key : one.flag.keys) add(key, one.flag.name);
  }
  for (const auto& [key, text] : sources.settings) add(key, "--set");
}

// CLI11 would take any word for yes or no: "--overwrite=later".
void refuse_values_of_switches(const std::vector<std::string>& words, const std::vector<Given>& given) {
  const auto refuse = [&](const std::string& name, const std::vector<std::string>& keys) {
    const auto with_value = [&](const std::string& word) { return word.starts_with(name + "="); };
    if (std::ranges::none_of(words, with_value)) return;
    const std::string instead = keys.empty() ? "" : ", or --set " + keys.front() + "=true or false";
    throw bad_input("", name + " is a switch and takes no value: give " + name + " alone" + instead);
  };
  for (const Given& one : given) {
    if (one.flag.takes == Flag::Takes::nothing) refuse(one.flag.name, one.flag.keys);
  }
  for (const char* name : {"--help", "--version"}) refuse(name, {});
}

// Takes the verb off the words.
Verb take_verb(std::vector<std::string>& words, std::span<const Verb> verbs) {
  if (words.empty() || words.front().starts_with("-")) return verbs.front();
  const std::string word = words.front();
  std::vector<std::string> names;
  for (const Verb& verb : verbs) {
    if (!verb.hidden) names.push_back(verb.name);
  }
  const auto found = std::ranges::find(verbs, word, &Verb::name);
  if (found == verbs.end())
    throw bad_input("", "unknown verb " + word + did_you_mean(word, names) + "; verbs: " + join(names, ", "));
  words.erase(words.begin());
  return *found;
}

void print_overview(std::span<const Verb> verbs) {
  std::cout << "finetune_tune: fine-tune a transformer and tune its hyperparameters in one process\n\n";
  for (const Verb& verb : verbs) {
    if (!verb.hidden) std::cout << "  " << verb.name << std::string(12 - verb.name.size(), ' ') << verb.help << "\n";
  }
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

void refuse_settings(const std::vector<std::string>& words, const Verb& verb) {
  if (verb.configured) return;
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    if (name == "--set" || name == "--config")
      throw bad_input("", verb.name + " takes no " + name + ": the configuration is the run's own");
  }
}

}  // namespace

std::string Arguments::option(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? "" : found->second;
}

Arguments parse_arguments(int argc, char** argv, std::span<const Verb> verbs) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool bare = words.empty() || words == std::vector<std::string>{"--help"};
  Arguments arguments;
  arguments.verb = take_verb(words, verbs);
  const Verb& verb = arguments.verb;
  refuse_settings(words, verb);
  CLI::App app(verb.help, "finetune_tune " + verb.name);
  app.allow_extras();
  app.footer("Example:\n  " + verb.example + "\n" + (verb.takes_key("data.train") ? keys_help() : "") +
             (verb.notes.empty() ? "" : "\n" + verb.notes));
  std::vector<Given> given;
  for (const Flag& flag : std::vector<Flag>{json_flag()} + verb.flags) given.push_back({flag});
  add_flag(app, given.front());
  std::vector<std::string> settings;
  if (verb.configured) {
    app.add_option("--config", arguments.sources.file, "configuration file (YAML)")->type_name("FILE");
    app.add_option("--set", settings, "one configuration key: a.b=value")
        ->type_name("KEY=VALUE")
        ->take_all()
        ->expected(1);
  }
  for (std::size_t i = 1; i < given.size(); ++i) add_flag(app, given[i]);
  bool version = false;
  app.add_flag("--version", version, "print the version");
  refuse_values_of_switches(words, given);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    if (bare) print_overview(verbs);
    std::cout << app.help();
    arguments.done = true;
    return arguments;
  } catch (const CLI::ParseError& error) {
    throw bad_input("", error.what());
  }
  if (version) {
    std::cout << "finetune_tune " << kVersion << "\n";
    arguments.done = true;
    return arguments;
  }
  refuse_leftovers(app);
  take_settings(arguments.sources, settings);
  refuse_repeated(arguments.sources, given);
  for (const Given& one : given) take(arguments, one);
  return arguments;
}

}  // namespace finetune
