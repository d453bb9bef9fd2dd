#include "cli/tokenize.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "data/tokenizers/tokenizer.h"

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

}  // namespace

int run_tokenize(const std::filesystem::path& model, bool special, std::istream& in, std::ostream& out) {
  const auto tokenizer = load_tokenizer(model);
  for_each_line(in, [&](const std::string& where, const nlohmann::ordered_json& json) {
    if (!json.is_string()) throw bad_input(where, "expected a JSON string");
    out << nlohmann::json(tokenizer->encode(json.get_ref<const std::string&>(), special).ids).dump() << '\n';
  });
  out.flush();
  return 0;
}

int run_detokenize(const std::filesystem::path& model, std::istream& in, std::ostream& out) {
  const auto tokenizer = load_tokenizer(model);
  for_each_line(in, [&](const std::string& where, const nlohmann::ordered_json& json) {
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
    out << nlohmann::json(tokenizer->decode(ids)).dump() << '\n';
  });
  out.flush();
  return 0;
}

}  // namespace finetune
