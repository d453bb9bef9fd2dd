// The interpreter as a process, for chat_templates.py: a line {"template": source, "variables": {...}, "date":
// "2024-07-26"} in, a line {"text": ..., "generated": [[begin, end]]} or {"error": ...} out; begin and end are bytes of
// the text. With "row" (a row of format messages) and "special_tokens" instead of variables: as a data set has it, and
// "trained" too.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "data/chat_template.h"
#include "data/jinja/template.h"

using namespace finetune;

namespace {

std::tm date_of(const std::string& text) {
  std::tm date{};
  date.tm_year = std::stoi(text.substr(0, 4)) - 1900;
  date.tm_mon = std::stoi(text.substr(5, 2)) - 1;
  date.tm_mday = std::stoi(text.substr(8, 2));
  std::mktime(&date);
  return date;
}

// A checkpoint's template and special tokens; nothing is encoded here.
struct NoTokenizer : Tokenizer {
  Encoding encode(std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const std::int32_t>) const override { return ""; }
  std::int64_t vocab_size() const override { return 0; }
  std::optional<std::int32_t> token_to_id(std::string_view) const override { return std::nullopt; }
  std::string id_to_token(std::int32_t) const override { return ""; }
};

nlohmann::ordered_json answer_row(const nlohmann::ordered_json& question) {
  static std::map<std::string, std::unique_ptr<ChatTemplate>> templates;
  auto& chat = templates[question.at("template")];
  if (chat == nullptr) {
    NoTokenizer tokenizer;
    tokenizer.chat_template = question["template"];
    tokenizer.chat_template_file = "template";
    for (const auto& [name, text] : question["special_tokens"].items())
      tokenizer.special_tokens.emplace_back(name, text);
    chat = open_chat_template("auto", question.value("date", "2024-07-26"), tokenizer);
  }
  const Rendered rendered = chat->render(conversation_of(question["row"], "messages", {}), true);
  return {{"text", rendered.text}, {"trained", rendered.trained}, {"roles", rendered.roles}};
}

nlohmann::ordered_json answer(const nlohmann::ordered_json& question) {
  static std::map<std::string, jinja::Template> templates;
  try {
    if (question.contains("row")) return answer_row(question);
    const std::string source = question["template"];
    auto found = templates.find(source);
    if (found == templates.end()) found = templates.emplace(source, jinja::Template("template", source)).first;
    jinja::Variables variables;
    for (const auto& [name, value] : question["variables"].items())
      variables.emplace_back(name, jinja::from_json(value));
    const jinja::Output output = found->second.render(variables, date_of(question.value("date", "2024-07-26")));
    return {{"text", output.text}, {"generated", output.generated}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(nlohmann::ordered_json::parse(line)).dump() << std::endl;
}
