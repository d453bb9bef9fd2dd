#include "data/preference.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "data/alpaca.h"
#include "data/completion.h"
#include "data/fields.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kColumns = {"prompt", "chosen", "rejected", "completion", "label", "messages", "conversations"};

bool has(const Json& record, const DataOptions& options, const char* name) {
  const std::string column = column_of(options, name);
  return record.contains(column) && !record[column].is_null();
}

// A list of messages in the row, under either of its names.
const char* list_name(const Json& record, const DataOptions& options) {
  for (const char* name : {"conversations", "messages"}) {
    if (has(record, options, name)) return name;
  }
  return nullptr;
}

std::string text_of_message(const Json& message) {
  for (const char* key : {"content", "value"}) {
    if (message.is_object() && message.contains(key) && message[key].is_string()) return message[key];
  }
  return "";
}

bool is_blank(const Json& answer) {
  if (answer.is_string()) return stripped(answer.get<std::string>()).empty();
  const bool has_content = answer.contains("content") || answer.contains("value");
  return has_content && stripped(text_of_message(answer)).empty() && !answer.contains("tool_calls");
}

// A prompt, and answers behind it.
struct Parts {
  Json prompt;                                        // a text, messages, or null
  std::vector<std::pair<std::string, Json>> answers;  // by column: a text or a message
};

// Lists of messages that begin alike: what they share is the prompt, and one message of each is left.
void split_shared(Parts& parts) {
  std::size_t shared = 0, shortest = SIZE_MAX;
  for (const auto& [column, answer] : parts.answers) {
    if (!answer.is_array() || answer.empty())
      throw bad_input("", "field " + column + " is not a list of messages, which another answer of the row is");
    shortest = std::min(shortest, answer.size());
  }
  const Json& first = parts.answers.front().second;
  const Json& last = parts.answers.back().second;
  if (parts.answers.size() == 1) shared = first.size() - 1;
  while (shared + 1 < shortest && first[shared] == last[shared]) ++shared;
  Json beginning(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(shared));
  if (shared == 0) beginning = Json::array();
  for (auto& [column, answer] : parts.answers) {
    if (answer.size() != shared + 1)
      throw bad_input("", "field " + column + " has " + std::to_string(answer.size() - shared) +
                              " messages behind the prompt; one answer of the assistant is compared");
    answer = Json(answer.back());
  }
  if (beginning.empty()) return;
  const bool repeated = parts.prompt.is_null() || parts.prompt == beginning ||
                        (parts.prompt.is_string() && parts.prompt == text_of_message(beginning.back()));
  if (!repeated) throw bad_input("", "the messages that the answers begin with are not the prompt of the row");
  parts.prompt = std::move(beginning);
}

Parts parts_of(const Json& record, const DataOptions& options) {
  Parts parts;
  const char* list = list_name(record, options);
  const std::vector<const char*> names =
      learns_from_pairs(options) ? std::vector{"chosen", "rejected"}
                                 : std::vector{has(record, options, "instruction") ? "output" : "completion"};
  if (has(record, options, "prompt"))
    parts.prompt = field(record, options, "prompt");
  else if (list != nullptr)
    parts.prompt = field(record, options, list);
  if (learns_from_labels(options) && list != nullptr && parts.prompt.is_array() && !parts.prompt.empty() &&
      !has(record, options, names.front())) {
    parts.answers.emplace_back(column_of(options, list), parts.prompt);
    parts.prompt = Json();
  } else {
    for (const char* name : names) parts.answers.emplace_back(column_of(options, name), field(record, options, name));
  }
  if (std::ranges::any_of(parts.answers, [](const auto& answer) { return answer.second.is_array(); }))
    split_shared(parts);
  for (const auto& [column, answer] : parts.answers) {
    if (!answer.is_string() && !answer.is_object())
      throw bad_input("", "field " + column + " is neither a text nor messages");
    if (is_blank(answer)) throw bad_input("", "field " + column + " is empty");
  }
  return parts;
}

// The prompt's messages and the answer as the assistant's.
Conversation conversation_with(const Json& record, const Json& prompt, const std::string& column, const Json& answer,
                               const DataOptions& options) {
  Json messages = prompt.is_array() ? prompt : Json::array({{{"role", "user"}, {"content", prompt}}});
  messages.push_back(answer.is_string() ? Json{{"role", "assistant"}, {"content", answer}} : answer);
  Json row = Json::object();
  for (const auto& item : record.items()) {
    const bool ours =
        std::ranges::any_of(kColumns, [&](const char* one) { return column_of(options, one) == item.key(); });
    if (!ours) row[item.key()] = item.value();  // what a template may read: system, tools
  }
  row[column_of(options, "conversations")] = std::move(messages);
  Conversation made = conversation_of(row, "sharegpt", options);
  if (made.messages.back()["role"] != "assistant")
    throw bad_input("", "field " + column + " is no answer of the assistant");
  std::fill(made.trained.begin(), made.trained.end() - 1, false);
  return made;
}

PreferenceAnswer alpaca_answer(const Json& record, const std::string& column, const Json& answer,
                               const ChatTemplate* chat_template, const DataOptions& options, const std::string& eos) {
  if (!answer.is_string()) throw bad_input("", "field " + column + " is not a text");
  Json with_output = record;
  with_output[column_of(options, "output")] = answer;
  const AlpacaRow row = alpaca_row(with_output, options);
  if (chat_template != nullptr) {
    PreferenceAnswer made{.conversation = conversation_of(alpaca_messages(row))};
    std::fill(made.conversation->trained.begin(), made.conversation->trained.end() - 1, false);
    return made;
  }
  const Rendered whole = alpaca_text(row, eos);
  return {.conversation = std::nullopt, .prompt = whole.text.substr(0, whole.trained.back().first), .answer = answer};
}

PreferenceAnswer answer_of(const Json& record, const Parts& parts, const std::string& column, const Json& answer,
                           const ChatTemplate* chat_template, const DataOptions& options, const std::string& eos) {
  if (parts.prompt.is_null() && has(record, options, "instruction"))
    return alpaca_answer(record, column, answer, chat_template, options, eos);
  if (parts.prompt.is_null())
    throw bad_input(
        "", "field " + column_of(options, "prompt") + " is missing; the record has " + join(columns_of(record), ", "));
  if (!parts.prompt.is_array() && !parts.prompt.is_string())
    throw bad_input("", "field " + column_of(options, "prompt") + " is neither a text nor messages");
  if (parts.prompt.is_string() && answer.is_string())
    return {.conversation = std::nullopt, .prompt = parts.prompt, .answer = answer};
  if (chat_template == nullptr)
    throw bad_input("", "this row is a conversation and the first one is none; keep them in files of their own");
  return {.conversation = conversation_with(record, parts.prompt, column, answer, options)};
}

// A table has no booleans: they are words there, as pandas or others write them, or numbers.
bool label_of(const Json& record, const DataOptions& options) {
  const Json& label = field(record, options, "label");
  if (label.is_boolean()) return label.get<bool>();
  for (const Json& yes : {Json("true"), Json("True"), Json("TRUE"), Json("1"), Json(1)})
    if (label == yes) return true;
  for (const Json& no : {Json("false"), Json("False"), Json("FALSE"), Json("0"), Json(0)})
    if (label == no) return false;
  throw bad_input("", "field " + column_of(options, "label") + " is " + label.dump().substr(0, 40) +
                          "; it must be true or false, or 1 or 0");
}

bool has_pair(const Json& record, const DataOptions& options) {
  return record.contains(column_of(options, "chosen")) && record.contains(column_of(options, "rejected"));
}

}  // namespace

bool learns_from_pairs(const DataOptions& options) {
  return options.objective != "sft" && !learns_from_labels(options);
}

bool learns_from_labels(const DataOptions& options) {
  return options.objective == "kto";
}

std::string preference_reason(const Json& record, const DataOptions& options) {
  const std::string chosen = column_of(options, "chosen"), rejected = column_of(options, "rejected"),
                    label = column_of(options, "label"), what = "train.objective: " + options.objective;
  const std::string columns = "; the record has " + join(columns_of(record), ", ");
  if (options.format != "auto" && options.format != "preference")
    throw bad_input("", what + " learns from data.format preference, not from " + options.format);
  if (learns_from_pairs(options)) {
    if (has_pair(record, options)) return "there are columns " + chosen + " and " + rejected;
    throw bad_input("", what + " learns from rows with " + chosen + " and " + rejected + columns +
                            (record.contains(label) ? "; with a label they are data for kto" : ""));
  }
  if (record.contains(label) && !has_pair(record, options)) return "there is a column " + label;
  throw bad_input("", what + " learns from rows with one answer and a column " + label + columns +
                          (has_pair(record, options) ? "; pairs are data for dpo, orpo and simpo" : ""));
}

std::string preference_style(const Json& record, const DataOptions& options) {
  const Parts parts = parts_of(record, options);
  if (parts.prompt.is_null() && has(record, options, "instruction")) return "alpaca";
  const bool texts = parts.prompt.is_string() && parts.answers.front().second.is_string();
  return texts || parts.prompt.is_null() ? "prompt_completion" : "messages";
}

PreferenceRow preference_row(const Json& record, const ChatTemplate* chat_template, const DataOptions& options,
                             const std::string& eos) {
  const Parts parts = parts_of(record, options);
  PreferenceRow row;
  for (const auto& [column, answer] : parts.answers)
    row.answers.push_back(answer_of(record, parts, column, answer, chat_template, options, eos));
  if (learns_from_labels(options))
    row.desirable = label_of(record, options);
  else if (parts.answers.front().second == parts.answers.back().second)
    throw bad_input("", "fields " + parts.answers.front().first + " and " + parts.answers.back().first +
                            " are the same, so nothing is preferred");
  return row;
}

Rendered render_answer(const PreferenceAnswer& answer, const ChatTemplate* chat_template, bool by_role) {
  if (answer.conversation) return chat_template->render(*answer.conversation, by_role);
  Rendered out{.text = answer.prompt + answer.answer};
  out.trained.emplace_back(answer.prompt.size(), out.text.size());
  return out;
}

}  // namespace finetune
