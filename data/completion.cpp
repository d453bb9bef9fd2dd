#include "data/completion.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/text.h"
#include "data/fields.h"
#include "data/format.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSpace = " \t\r\n";

std::vector<std::string> texts_in(const Json& list, const std::string& column) {
  if (!list.is_array()) throw bad_input("", "field " + column + " is not a list of texts");
  if (list.empty()) throw bad_input("", "field " + column + " is empty");
  std::vector<std::string> texts;
  for (const Json& entry : list) texts.push_back(text_of(entry, column));
  return texts;
}

std::size_t position(const std::vector<std::string>& texts, const std::string& text) {
  return static_cast<std::size_t>(std::find(texts.begin(), texts.end(), text) - texts.begin());
}

[[noreturn]] void refuse_answer(const std::string& column, const std::string& text, const std::string& why) {
  throw bad_input("", "field " + column + " is " + text.substr(0, 80) + ", which " + why);
}

std::optional<std::size_t> as_index(const std::string& text, std::size_t count) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool index = !text.empty() && text.size() < 9 && std::all_of(text.begin(), text.end(), is_digit);
  return index && std::stoul(text) < count ? std::optional(std::stoul(text)) : std::nullopt;
}

// A text is a label or one of the choices, else an index; a number is an index, or a label where labels are numbers.
std::size_t right_choice(const Json& answer, const std::vector<std::string>& texts,
                         const std::vector<std::string>& labels, const std::string& column) {
  const std::string text = text_of(answer, column);
  const std::size_t count = texts.size(), label = position(labels, text), choice = position(texts, text);
  const std::optional<std::size_t> index = as_index(text, count);
  const bool is_label = label < labels.size();
  if (is_label && index && answer.is_number() && *index != label)
    refuse_answer(column, text, "is the label of one choice and the index of another; write labels as texts");
  if (is_label) return label;
  if (choice < count && !answer.is_number()) return choice;
  if (index) return *index;
  refuse_answer(column, text,
                "is none of the row's " + std::to_string(count) + " choices, and no index from 0 of them");
}

// Of equal choices none is the right one, an empty one is no answer, and a single one is no choice.
void require_choices(const std::vector<std::string>& texts, const std::string& column) {
  if (texts.size() < 2) throw bad_input("", "field " + column + " has a single choice");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string text = stripped(texts[i]);
    const auto same = [&](const std::string& other) { return stripped(other) == text; };
    if (text.empty()) throw bad_input("", "field " + column + " has an empty choice");
    if (std::count_if(texts.begin(), texts.end(), same) > 1)
      throw bad_input("", "field " + column + " has \"" + text.substr(0, 80) + "\" twice");
  }
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out.append(c == '{' || c == '}' ? 2 : 1, c);
  return out;
}

// `text` between the white space that stands around `old`.
std::string in_place_of(const std::string& old, const std::string& text) {
  const auto first = old.find_first_not_of(kSpace);
  if (first == std::string::npos) return old + text;
  return old.substr(0, first) + stripped(text) + old.substr(old.find_last_not_of(kSpace) + 1);
}

struct ConversationColumns {
  std::string list, content;
};

ConversationColumns conversation_columns(const std::string& format, const DataOptions& options) {
  if (format == "messages") return {column_of(options, "messages"), "content"};
  return {column_of(options, "conversations"), "value"};
}

const Json& last_content(const Json& record, const ConversationColumns& columns) {
  const auto list = record.find(columns.list);
  const bool has_turns = list != record.end() && list->is_array() && !list->empty() && list->back().is_object();
  if (!has_turns || !list->back().contains(columns.content) || !list->back()[columns.content].is_string())
    throw bad_input("", "the conversation does not end with a text");
  return list->back()[columns.content];
}

}  // namespace

RowChoices choices_of(const Json& record, const DataOptions& options) {
  const std::string column = column_of(options, "choices");
  const Json& choices = field(record, options, "choices");
  RowChoices made;
  std::vector<std::string> labels;
  if (choices.is_object() && choices.contains("text") && choices.contains("label")) {
    made.texts = texts_in(choices["text"], column);
    labels = texts_in(choices["label"], column);
    if (labels.size() != made.texts.size())
      throw bad_input("", "field " + column + " has " + std::to_string(made.texts.size()) + " texts and " +
                              std::to_string(labels.size()) + " labels");
    require_choices(labels, column + ".label");
  } else if (choices.is_object()) {
    throw bad_input("", "field " + column + " is neither a list of texts nor {text: [...], label: [...]}");
  } else {
    made.texts = texts_in(choices, column);
  }
  require_choices(made.texts, column);
  made.right = right_choice(field(record, options, "answer"), made.texts, labels, column_of(options, "answer"));
  return made;
}

std::string spaced(const std::string& prompt, const std::string& choice) {
  const auto is_space = [](char c) { return std::string_view(kSpace).find(c) != std::string_view::npos; };
  const bool apart = prompt.empty() || is_space(prompt.back()) || (!choice.empty() && is_space(choice.front()));
  return apart ? choice : " " + choice;
}

std::string stripped(const std::string& text) {
  const auto first = text.find_first_not_of(kSpace);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

std::string completion_of(const Json& record, const std::string& format, const DataOptions& options) {
  if (format == "prompt_completion") return text_field(record, options, "completion");
  if (format == "alpaca") return text_field(record, options, "output");
  if (format == "choices") {
    const RowChoices choices = choices_of(record, options);
    return choices.texts[choices.right];
  }
  if (format == "messages" || format == "sharegpt")
    return last_content(record, conversation_columns(format, options)).get<std::string>();
  if (format == "pattern" && !options.completion.empty()) {
    const Rendered rendered = render_record(record, format, nullptr, options, "");
    return rendered.text.substr(rendered.trained.back().first);
  }
  throw bad_input("", "rows of format " + format + " have no answer; give data.prompt and data.completion");
}

AnsweredRow with_completion(const Json& record, const std::string& format, const DataOptions& options,
                            const std::string& text) {
  AnsweredRow row{record, options};
  const std::string made = in_place_of(completion_of(record, format, options), text);
  if (format == "prompt_completion") {
    row.record[column_of(options, "completion")] = made;
  } else if (format == "alpaca") {
    row.record[column_of(options, "output")] = made;
  } else if (format == "choices") {
    // Another choice stands beside it, for there must be two; nothing is made of it.
    row.record[column_of(options, "choices")] = Json::array({text, text + " or not"});
    row.record[column_of(options, "answer")] = 0;
  } else if (format == "pattern") {
    row.options.completion = escaped(made);
  } else {
    const ConversationColumns columns = conversation_columns(format, options);
    row.record[columns.list].back()[columns.content] = made;
  }
  return row;
}

}  // namespace finetune
