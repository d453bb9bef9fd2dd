#include "cli/prepare.h"

#include <algorithm>

#include "config/config.h"
#include "config/node.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace finetune {
namespace {

bool in_file(const ConfigNode& root, const std::string& key) {
  const auto dot = key.find('.');
  const ConfigNode* section = root.find(key.substr(0, dot));
  return section != nullptr && section->find(key.substr(dot + 1)) != nullptr;
}

void require_keys(const ConfigSources& sources, const Verb& verb) {
  const ConfigNode root =
      sources.file.empty() ? ConfigNode{} : parse_config(sources.file, read_file(sources.file, 16 << 20));
  for (const auto& key : verb.required) {
    const auto names = [&](const auto& entry) { return entry.first == key; };
    const bool given = std::any_of(sources.settings.begin(), sources.settings.end(), names) ||
                       std::any_of(sources.lists.begin(), sources.lists.end(), names) || in_file(root, key);
    if (!given) throw bad_input("", verb.flag_of(key) + " is missing (or " + key + " in --config)");
  }
}

}  // namespace

RunConfig prepare_config(const Arguments& arguments, bool asktell) {
  RunConfig config = load_config(arguments.sources);  // what is malformed comes before what is missing
  require_keys(arguments.sources, arguments.verb);
  try {
    validate(config, asktell);
  } catch (const Error& error) {
    if (!arguments.sources.settings.empty()) throw;  // it may be one of those
    throw error.at(arguments.sources.file);
  }
  return config;
}

void require_meaning(const Arguments& arguments, const std::vector<std::string>& beginnings) {
  std::vector<std::string> read;
  for (const std::string& one : beginnings) read.push_back(one.ends_with('.') ? one + "*" : one);
  for (const auto& setting : arguments.sources.settings) {
    const std::string& key = setting.first;
    const bool known = std::ranges::any_of(beginnings, [&](const std::string& one) { return key.starts_with(one); });
    if (!known)
      throw bad_input("", key + " has no meaning for " + arguments.verb.name + ", which reads " + join(read, ", "));
  }
}

}  // namespace finetune
