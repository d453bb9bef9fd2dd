#include "data/chat_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "data/chat_turns.h"
#include "data/jinja/template.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Value;

std::uint64_t hash_of(const std::string& text) {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

std::tm date_from(const std::string& text) {
  std::tm date{};
  date.tm_year = std::stoi(text.substr(0, 4)) - 1900;
  date.tm_mon = std::stoi(text.substr(5, 2)) - 1;
  date.tm_mday = std::stoi(text.substr(8, 2));
  date.tm_hour = 12;  // whatever the time zone, mktime stays within the day
  date.tm_isdst = -1;
  std::mktime(&date);
  date.tm_hour = date.tm_min = date.tm_sec = 0;
  return date;
}

std::string role_of(const Json& message) {
  return message.at("role").get<std::string>();
}

// A message as apply_chat_template hands it over: without nulls, the thoughts under both of their names.
Json plain_message(const Json& message) {
  Json plain = Json::object();
  const Json* thoughts = nullptr;
  for (const char* name : {"reasoning", "thinking", "reasoning_content"}) {
    if (message.contains(name) && !message[name].is_null()) thoughts = &message[name];
  }
  if (thoughts != nullptr) plain["thinking"] = *thoughts;
  for (const auto& [key, value] : message.items()) {
    if (!value.is_null()) plain[key] = value;
  }
  if (thoughts != nullptr) plain["reasoning_content"] = *thoughts;
  return plain;
}

class JinjaTemplate : public ChatTemplate {
 public:
  JinjaTemplate(const std::string& where, const std::string& source, const std::string& date,
                const Tokenizer& tokenizer)
      : name_(fmt::format("{} ({:016x})", where, hash_of(source))),
        template_(where, source),
        special_tokens_(tokenizer.special_tokens),
        date_(date_from(date)) {}

  std::string name() const override { return name_; }
  bool takes_columns() const override { return true; }
  bool reads_date() const override { return template_.mentions("strftime_now"); }

  Rendered render(const Conversation& conversation, bool by_role) const override {
    try {
      return rendered(conversation, by_role);
    } catch (const jinja::Fault& fault) {
      throw bad_input("", fault.what());
    }
  }

 private:
  Rendered rendered(const Conversation& conversation, bool by_role) const {
    const jinja::Variables shared = variables_of(conversation);
    std::vector<Value> messages;
    for (const auto& message : conversation.messages) messages.push_back(jinja::from_json(plain_message(message)));
    jinja::Output whole = output_of(messages, shared, false);
    Rendered out{.text = std::move(whole.text), .conversation = true, .complete = true};
    const RenderMessages render = [&](const std::vector<Value>& some, bool prompt) -> std::optional<std::string> {
      try {
        return output_of(some, shared, prompt).text;
      } catch (const Error&) {
        return std::nullopt;
      }
    };
    out.whole_tokens = !template_.has_generation();  // no token of the generation prompt is a target
    if (template_.has_generation())
      out.trained = marked(conversation, messages, shared, whole);
    else
      out.trained = turns(conversation, messages, render, out.text);
    if (by_role) {
      const std::vector<std::size_t> ends = message_ends(render, messages, out.text);
      for (std::size_t i = 0; i < messages.size(); ++i)
        out.roles.emplace_back(role_of(conversation.messages[i]), ends[i]);
    }
    return out;
  }

  jinja::Output output_of(const std::vector<Value>& messages, const jinja::Variables& shared, bool prompt) const {
    jinja::Variables variables = shared;
    variables.emplace_back("messages", jinja::make_sequence(jinja::Sequence::Kind::list, messages));
    variables.emplace_back("add_generation_prompt", Value(prompt));
    return template_.render(variables, date_);
  }

  // As apply_chat_template(messages, **row): special tokens, tools and documents (none where absent), other columns.
  jinja::Variables variables_of(const Conversation& conversation) const {
    jinja::Variables variables;
    for (const auto& [name, text] : special_tokens_) variables.emplace_back(name, Value::text(text));
    for (const char* name : {"tools", "documents"}) variables.emplace_back(name, Value(jinja::None{}));
    for (const auto& [name, value] : conversation.columns.items()) {
      if (!template_.mentions(name)) continue;
      const bool json = name == "tools" && value.is_string();  // columns of one type hold schemas as text
      variables.emplace_back(name,
                             jinja::from_json(json ? parse_strict_json("tools", value.get<std::string>()) : value));
    }
    return variables;
  }

  static std::vector<ByteRange> turns(const Conversation& conversation, const std::vector<Value>& messages,
                                      const RenderMessages& render, const std::string& text) {
    std::vector<ByteRange> trained;
    TurnFinder finder(render, messages, text);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (standard_role(role_of(conversation.messages[i])) != "assistant" || !conversation.trained[i]) continue;
      const ByteRange range = finder.turn(i);
      if (range.first < range.second) trained.push_back(range);
    }
    return trained;
  }

  // What generation blocks wrote, less that of messages that are left out: a message's blocks are those that its
  // appearing adds.
  std::vector<ByteRange> marked(const Conversation& conversation, const std::vector<Value>& messages,
                                const jinja::Variables& shared, const jinja::Output& whole) const {
    if (whole.generated_elsewhere)
      throw bad_input("", "a generation block stands in a macro or a set block, so its place is not known");
    std::vector<ByteRange> trained;
    const auto written = [&](std::size_t count) {
      return count == messages.size()
                 ? whole.generated.size()
                 : output_of({messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(count)}, shared, false)
                       .generated.size();
    };
    const bool all =
        std::all_of(conversation.trained.begin(), conversation.trained.end(), [](bool one) { return one; });
    if (all) return whole.generated;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (standard_role(role_of(conversation.messages[i])) != "assistant") continue;
      const std::size_t end = std::max(begin, written(i + 1));
      for (std::size_t k = begin; k < std::min(end, whole.generated.size()) && conversation.trained[i]; ++k)
        trained.push_back(whole.generated[k]);
      begin = end;
    }
    if (begin != whole.generated.size())
      throw bad_input("", "the template's generation blocks cannot be told apart by message, so none can be left out");
    return trained;
  }

  std::string name_;
  jinja::Template template_;
  std::vector<std::pair<std::string, std::string>> special_tokens_;
  std::tm date_;
};

class NamedTemplate : public ChatTemplate {
 public:
  NamedTemplate(std::string format, const Tokenizer& tokenizer) : format_(std::move(format)) {
    if (tokenizer.bos_id) bos_ = tokenizer.id_to_token(*tokenizer.bos_id);
    if (tokenizer.eos_id) eos_ = tokenizer.id_to_token(*tokenizer.eos_id);
  }
  std::string name() const override { return format_; }

  Rendered render(const Conversation& conversation, bool) const override {
    std::vector<Message> messages;
    for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
      const Json& message = conversation.messages[i];
      if (!message.contains("content") || !message["content"].is_string())
        throw bad_input(
            "", "message " + std::to_string(i + 1) + " has no content text, which the template " + format_ + " wants");
      messages.push_back(
          {standard_role(role_of(message)), message["content"].get<std::string>(), conversation.trained[i]});
    }
    return render_chat(format_, messages, bos_, eos_);
  }

 private:
  std::string format_, bos_, eos_;
};

}  // namespace

std::unique_ptr<ChatTemplate> open_chat_template(const std::string& choice, const std::string& date,
                                                 const Tokenizer& tokenizer) {
  if (choice == "none") return nullptr;
  if (choice == "auto") {
    if (tokenizer.chat_template.empty()) return nullptr;
    return std::make_unique<JinjaTemplate>(tokenizer.chat_template_file, tokenizer.chat_template, date, tokenizer);
  }
  if (choice.ends_with(".jinja"))
    return std::make_unique<JinjaTemplate>(choice, read_file(choice, 16 << 20), date, tokenizer);
  const auto& names = chat_template_names();
  if (std::find(names.begin(), names.end(), choice) == names.end())
    throw bad_input("", "data.template is " + choice + "; allowed: auto, none, FILE.jinja, " + join(names, ", ") +
                            did_you_mean(choice, names));
  return std::make_unique<NamedTemplate>(choice, tokenizer);
}

}  // namespace finetune
