// The verbs tokenize and detokenize: JSON lines in, JSON lines out.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "data/tokenizers/tokenizer.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

// Calls work(where, json) for every line that is not blank.
template <typename Work>
void for_each_line(std::istream& in, const Work& work) {
  std::string line;
  for (std::int64_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string where = "stdin:" + std::to_string(number);
    work(where, parse_strict_json(where, line, 4));
  }
}

std::unique_ptr<Tokenizer> open_tokenizer(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  check_paths(config, false, false);
  std::ios::sync_with_stdio(false);
  return load_tokenizer(config.model.path);
}

// A string a line; a list of ids a line.
int run_tokenize(const Arguments& arguments) {
  const auto tokenizer = open_tokenizer(arguments);
  const bool special = !arguments.has("--no-special");
  for_each_line(std::cin, [&](const std::string& where, const nlohmann::ordered_json& json) {
    if (!json.is_string()) throw bad_input(where, "expected a JSON string");
    std::cout << nlohmann::json(tokenizer->encode(json.get_ref<const std::string&>(), special).ids).dump() << '\n';
  });
  std::cout.flush();
  return 0;
}

// The inverse.
int run_detokenize(const Arguments& arguments) {
  const auto tokenizer = open_tokenizer(arguments);
  for_each_line(std::cin, [&](const std::string& where, const nlohmann::ordered_json& json) {
    if (!json.is_array()) throw bad_input(where, "expected a list of token ids");
    std::vector<std::int32_t> ids;
    for (const auto& id : json) {
      const bool whole = id.is_number_integer() && id.get<double>() >= 0 &&
                         id.get<double>() < static_cast<double>(tokenizer->vocab_size());
      if (!whole)
        throw bad_input(where, "token id " + id.dump().substr(0, 40) + " is not one of 0 to " +
                                   std::to_string(tokenizer->vocab_size() - 1));
      ids.push_back(id.get<std::int32_t>());
    }
    std::cout << nlohmann::json(tokenizer->decode(ids)).dump() << '\n';
  });
  std::cout.flush();
  return 0;
}

}  // namespace

Verb tokenize_verb() {
  return {.name = "tokenize",
          .help = "JSON strings on stdin, lists of ids on stdout",
          .example = "echo '\"hello\"' | finetune_tune tokenize --model models/qwen",
          .flags = {model_flag(),
                    {"--no-special", "", "without the tokens that the post-processor adds", {}, Flag::Takes::nothing}},
          .required = {"model.path"},
          .run = run_tokenize};
}

Verb detokenize_verb() {
  return {.name = "detokenize",
          .help = "lists of ids on stdin, JSON strings on stdout",
          .example = "echo '[1, 42]' | finetune_tune detokenize --model models/qwen",
          .flags = {model_flag()},
          .required = {"model.path"},
          .run = run_detokenize};
}

}  // namespace finetune
