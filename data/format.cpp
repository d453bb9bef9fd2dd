#include "data/format.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "data/alpaca.h"
#include "data/completion.h"
#include "data/fields.h"
#include "data/preference.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// "Review: {sentence}\nSentiment:"; {{ and }} stand for braces.
std::string fill_pattern(const std::string& key, const std::string& pattern, const Json& record) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if ((c == '{' || c == '}') && i + 1 < pattern.size() && pattern[i + 1] == c) {
      out += c;
      ++i;
    } else if (c == '{') {
      const std::size_t end = pattern.find('}', i);
      if (end == std::string::npos) throw bad_input("", key + ": { is never closed; write {{ for a brace");
      const std::string column = pattern.substr(i + 1, end - i - 1);
      if (!record.contains(column))
        throw bad_input("", key + " names column " + column + ", which is missing; the record has " +
                                join(columns_of(record), ", "));
      out += text_of(record[column], column);
      i = end;
    } else if (c == '}') {
      throw bad_input("", key + ": } without {; write }} for a brace");
    } else {
      out += c;
    }
  }
  return out;
}

Rendered prompt_and_completion(const std::string& prompt, const std::string& completion) {
  Rendered out{.text = prompt + completion};
  out.trained.emplace_back(prompt.size(), out.text.size());
  return out;
}

Rendered whole_text(std::string text) {
  Rendered out{.text = std::move(text)};
  out.trained.emplace_back(0, out.text.size());
  return out;
}

}  // namespace

DetectedFormat detect_format(const Json& record, const DataOptions& options) {
  if (options.objective != "sft") return {"preference", preference_reason(record, options)};
  const auto has_column = [&](const char* name) { return record.contains(column_of(options, name)); };
  const bool has_choices = has_column("choices") && has_column("answer") && options.completion.empty();
  if (options.has_pattern && options.format != "choices" && !has_choices) return {"pattern", "data.prompt is given"};
  const bool has_pair = options.format == "auto" && has_column("chosen") && has_column("rejected");
  if (has_pair || options.format == "preference")
    throw bad_input("",
                    "rows of preferences are what dpo, orpo, kto and simpo learn from; set train.objective to one "
                    "of them, or data.format to what the rows are beside that");
  if (options.format != "auto") return {options.format, "data.format is given"};
  if (has_choices && (options.has_pattern || has_column("prompt")))
    return {"choices", "there are columns " + column_of(options, "choices") + " and " + column_of(options, "answer")};
  if (has_column("messages") && record[column_of(options, "messages")].is_array())
    return {"messages", "there is a list in column " + column_of(options, "messages")};
  if (has_column("conversations") && record[column_of(options, "conversations")].is_array())
    return {"sharegpt", "there is a list in column " + column_of(options, "conversations")};
  if (has_column("prompt") && has_column("completion"))
    return {"prompt_completion",
            "there are columns " + column_of(options, "prompt") + " and " + column_of(options, "completion")};
  if (has_column("instruction") && has_column("output"))
    return {"alpaca",
            "there are columns " + column_of(options, "instruction") + " and " + column_of(options, "output")};
  if (has_column("text")) return {"text", "there is a column " + column_of(options, "text")};
  throw bad_input("", "the format cannot be told from the columns " + join(columns_of(record), ", ") +
                          "; name them with data.fields={prompt: COLUMN, completion: COLUMN}, or give data.prompt and "
                          "data.completion patterns");
}

std::unique_ptr<ChatTemplate> choose_chat_template(const DataOptions& options, const std::string& format,
                                                   const Tokenizer& tokenizer) {
  const bool chat = format == "messages" || format == "sharegpt";
  if (!chat && format != "alpaca") return nullptr;
  if (!chat && options.chat_template == "alpaca") return nullptr;  // the format's own prompt
  auto chosen = open_chat_template(options.chat_template, options.date, tokenizer);
  if (chosen != nullptr || !chat) return chosen;
  const std::string choices = "set data.template to FILE.jinja or one of " + join(chat_template_names(), ", ");
  if (options.chat_template == "none")
    throw bad_input("", "data.template is none, but format " + format + " needs a template; " + choices);
  if (options.assumed_template.empty()) throw bad_input("", "the checkpoint has no chat template; " + choices);
  return open_chat_template(options.assumed_template, options.date, tokenizer);
}

Rendered render_record(const Json& record, const std::string& format, const ChatTemplate* chat_template,
                       const DataOptions& options, const std::string& eos) {
  if (format == "pattern") {
    const std::string prompt = fill_pattern("data.prompt", options.prompt, record);
    return options.completion.empty()
               ? whole_text(prompt)
               : prompt_and_completion(prompt, fill_pattern("data.completion", options.completion, record));
  }
  if (format == "choices") {
    if (!options.completion.empty())
      throw bad_input("", "data.completion has no place in data.format choices, whose completion is the right choice");
    const std::string prompt = options.has_pattern ? fill_pattern("data.prompt", options.prompt, record)
                                                   : text_field(record, options, "prompt");
    const RowChoices choices = choices_of(record, options);
    return prompt_and_completion(prompt, spaced(prompt, choices.texts[choices.right]));
  }
  if (format == "text") return whole_text(text_field(record, options, "text"));
  if (format == "prompt_completion")
    return prompt_and_completion(text_field(record, options, "prompt"), text_field(record, options, "completion"));
  if (format == "alpaca") {
    const AlpacaRow row = alpaca_row(record, options);
    if (chat_template == nullptr) return alpaca_text(row, eos);
    return chat_template->render(conversation_of(alpaca_messages(row)), options.by_role);
  }
  return chat_template->render(conversation_of(record, format, options), options.by_role);
}

}  // namespace finetune
