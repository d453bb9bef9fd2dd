#include "data/alpaca.h"

#include "core/error.h"
#include "data/fields.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kPreamble =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
constexpr const char* kPreambleWithInput =
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.";

std::vector<std::pair<std::string, std::string>> history_of(const Json& record, const DataOptions& options) {
  const std::string column = column_of(options, "history");
  std::vector<std::pair<std::string, std::string>> turns;
  if (!record.contains(column) || is_empty_value(record[column])) return turns;
  const Json& list = record[column];
  const auto is_turn = [](const Json& turn) {
    return turn.is_array() && turn.size() == 2 && turn[0].is_string() && turn[1].is_string();
  };
  for (const auto& turn : list.is_array() ? list : Json::array({list})) {
    if (!is_turn(turn)) throw bad_input("", "field " + column + " is not a list of [instruction, answer] pairs");
    turns.emplace_back(turn[0].get<std::string>(), turn[1].get<std::string>());
  }
  return turns;
}

std::string question(const std::string& instruction, const std::string& input) {
  return "### Instruction:\n" + instruction + "\n\n" + (input.empty() ? "" : "### Input:\n" + input + "\n\n") +
         "### Response:\n";
}

}  // namespace

AlpacaRow alpaca_row(const Json& record, const DataOptions& options) {
  return {.system = optional_text(record, options, "system"),
          .instruction = text_field(record, options, "instruction"),
          .input = optional_text(record, options, "input"),
          .output = text_field(record, options, "output"),
          .history = history_of(record, options)};
}

std::vector<Message> alpaca_messages(const AlpacaRow& row) {
  std::vector<Message> messages;
  if (!row.system.empty()) messages.push_back({"system", row.system});
  for (const auto& [instruction, answer] : row.history) {
    messages.push_back({"user", instruction});
    messages.push_back({"assistant", answer});
  }
  messages.push_back({"user", row.input.empty() ? row.instruction : row.instruction + "\n" + row.input});
  messages.push_back({"assistant", row.output});
  return messages;
}

Rendered alpaca_text(const AlpacaRow& row, const std::string& eos) {
  const char* preamble = row.input.empty() ? kPreamble : kPreambleWithInput;
  Rendered out{.text = (row.system.empty() ? preamble : row.system) + "\n\n"};
  const auto answer = [&](const std::string& text) {
    const std::size_t begin = out.text.size();
    out.text += text;
    out.trained.emplace_back(begin, out.text.size());
  };
  for (const auto& [instruction, text] : row.history) {
    out.text += question(instruction, "");
    answer(text + eos);
    out.text += "\n\n";
  }
  out.text += question(row.instruction, row.input);
  answer(row.output);
  return out;
}

}  // namespace finetune
