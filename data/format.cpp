#include "data/format.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "data/alpaca.h"
#include "data/fields.h"

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

std::vector<Message> messages_of(const Json& list, const std::string& name, const char* role_key,
                                 const char* content_key) {
  if (!list.is_array() || list.empty()) throw bad_input("", "field " + name + " is not a list of messages");
  std::vector<Message> messages;
  for (const auto& item : list) {
    if (!item.is_object() || !item.contains(role_key) || !item.contains(content_key) || !item[role_key].is_string() ||
        !item[content_key].is_string()) {
      throw bad_input("", "a message of " + name + " has no " + role_key + " or no " + content_key + " text");
    }
    Message message{.role = item[role_key].get<std::string>(), .content = item[content_key].get<std::string>()};
    if (message.role == "human") message.role = "user";
    if (message.role == "gpt" || message.role == "model" || message.role == "bot") message.role = "assistant";
    if (item.contains("loss_weight") && item["loss_weight"].is_number())
      message.trained = item["loss_weight"].get<double>() > 0;
    if (item.contains("train") && item["train"].is_boolean()) message.trained = item["train"].get<bool>();
    messages.push_back(std::move(message));
  }
  return messages;
}

Rendered render_alpaca(const Json& record, const std::string& chat_template, const DataOptions& options,
                       const std::string& bos, const std::string& eos) {
  const AlpacaRow row = alpaca_row(record, options);
  return chat_template.empty() ? alpaca_text(row, eos) : render_chat(chat_template, alpaca_messages(row), bos, eos);
}

}  // namespace

DetectedFormat detect_format(const Json& record, const DataOptions& options) {
  if (options.has_pattern) return {"pattern", "data.prompt is given"};
  if (options.format != "auto") return {options.format, "data.format is given"};
  const auto has = [&](const char* name) { return record.contains(column_of(options, name)); };
  if (has("messages") && record[column_of(options, "messages")].is_array())
    return {"messages", "there is a list in column " + column_of(options, "messages")};
  if (has("conversations") && record[column_of(options, "conversations")].is_array())
    return {"sharegpt", "there is a list in column " + column_of(options, "conversations")};
  if (has("prompt") && has("completion"))
    return {"prompt_completion",
            "there are columns " + column_of(options, "prompt") + " and " + column_of(options, "completion")};
  if (has("instruction") && has("output"))
    return {"alpaca",
            "there are columns " + column_of(options, "instruction") + " and " + column_of(options, "output")};
  if (has("text")) return {"text", "there is a column " + column_of(options, "text")};
  throw bad_input("", "the format cannot be told from the columns " + join(columns_of(record), ", ") +
                          "; name them with data.fields={prompt: COLUMN, completion: COLUMN}, or give data.prompt and "
                          "data.completion patterns");
}

std::string choose_chat_template(const DataOptions& options, const std::string& format, const Tokenizer& tokenizer) {
  const bool chat = format == "messages" || format == "sharegpt";
  if (!chat && format != "alpaca") return "";
  if (options.chat_template == "none") {
    if (chat)
      throw bad_input("", "data.template is none, but data.format " + format +
                              " needs a template; allowed: " + join(chat_template_names(), ", "));
    return "";
  }
  if (options.chat_template != "auto") {
    const auto& names = chat_template_names();
    if (std::find(names.begin(), names.end(), options.chat_template) == names.end()) {
      throw bad_input("", "data.template is " + options.chat_template + "; allowed: auto, none, " + join(names, ", ") +
                              did_you_mean(options.chat_template, names));
    }
    return options.chat_template == "alpaca" && !chat ? "" : options.chat_template;
  }
  if (tokenizer.chat_template.empty()) return chat ? "chatml" : "";
  const std::string known = recognise_chat_template(tokenizer.chat_template);
  if (known.empty())
    throw bad_input("", "the checkpoint's chat template is not a known one; set data.template to one of " +
                            join(chat_template_names(), ", "));
  return known;
}

Rendered render_record(const Json& record, const std::string& format, const std::string& chat_template,
                       const DataOptions& options, const std::string& bos, const std::string& eos) {
  if (format == "pattern") {
    const std::string prompt = fill_pattern("data.prompt", options.prompt, record);
    return options.completion.empty()
               ? whole_text(prompt)
               : prompt_and_completion(prompt, fill_pattern("data.completion", options.completion, record));
  }
  if (format == "text") return whole_text(text_field(record, options, "text"));
  if (format == "prompt_completion")
    return prompt_and_completion(text_field(record, options, "prompt"), text_field(record, options, "completion"));
  if (format == "alpaca") return render_alpaca(record, chat_template, options, bos, eos);
  const bool sharegpt = format == "sharegpt";
  const std::string name = column_of(options, sharegpt ? "conversations" : "messages");
  const Json& list = field(record, options, sharegpt ? "conversations" : "messages");
  std::vector<Message> messages = messages_of(list, name, sharegpt ? "from" : "role", sharegpt ? "value" : "content");
  const std::string system = optional_text(record, options, "system");
  if (!system.empty() && messages.front().role != "system")
    messages.insert(messages.begin(), Message{"system", system});
  return render_chat(chat_template, messages, bos, eos);
}

}  // namespace finetune
