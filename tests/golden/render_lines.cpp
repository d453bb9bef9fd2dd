// The interpreter as a process, for chat_templates.py: a line {"template": source, "variables": {...}, "date": "2024-07-26"}
// in, a line {"text": ..., "generated": [[begin, end]]} or {"error": ...} out; begin and end are bytes of the text.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
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

nlohmann::ordered_json answer(const nlohmann::ordered_json& question) {
  static std::map<std::string, jinja::Template> templates;
  try {
    const std::string source = question["template"];
    auto found = templates.find(source);
    if (found == templates.end()) found = templates.emplace(source, jinja::Template("template", source)).first;
    jinja::Variables variables;
    for (const auto& [name, value] : question["variables"].items()) variables.emplace_back(name, jinja::from_json(value));
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
