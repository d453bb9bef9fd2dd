#include "data/prompts.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "data/alpaca.h"
#include "data/completion.h"
#include "data/example_encoder.h"
#include "data/fields.h"
#include "data/format.h"
#include "data/preference.h"
#include "data/reader.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// Stands for the answer while the template is asked where it begins and what ends it: in no template, and one character
// that none trims.
constexpr const char* kAnswer = "\u2603";

class PromptMaker {
 public:
  PromptMaker(const DataOptions& options, const Tokenizer& tokenizer, bool chat)
      : options_(options), tokenizer_(tokenizer), encoder_(tokenizer), chat_(chat) {
    if (tokenizer.eos_id) eos_ = tokenizer.id_to_token(*tokenizer.eos_id);
  }

  void load_file(const std::string& path, const RowFilter& wanted) {
    const auto file = static_cast<std::int32_t>(set_.files.size());
    set_.files.push_back(path);
    const auto refuse = [&](std::int64_t line, const std::string& reason) {
      throw bad_input(path + ":" + std::to_string(line), reason);
    };
    read_records(path, options_.separator, options_.memory,
                 {[&](const Record& record) {
                    if (wanted && !wanted(file, record.line)) return;
                    try {
                      PromptRow row = row_of(record.value);
                      row.file = file;
                      row.line = record.line;
                      set_.rows.push_back(std::move(row));
                    } catch (const Error& error) {
                      refuse(record.line, error.what());
                    }
                  },
                  refuse});
  }

  void add_text(const std::string& text) {
    set_.format = "text";
    if (chat_) choose_template("messages");
    set_.rows.push_back(plain_or_chat(text, ""));
  }

  void add_row(const Json& row) { set_.rows.push_back(row_of(row)); }

  PromptSet take() { return std::move(set_); }

 private:
  PromptRow row_of(const Json& record) {
    if (set_.format.empty()) {
      set_.format = format_of(record);
      const bool pairs = set_.format == "preference";
      choose_template(chat_ ? "messages" : pairs ? preference_style(record, options_) : set_.format);
    }
    if (set_.format == "messages" || set_.format == "sharegpt")
      return of_conversation(conversation_of(record, set_.format, options_));
    if (set_.format == "alpaca" && template_ != nullptr)
      return of_conversation(conversation_of(alpaca_messages(alpaca_row(record, options_))));
    if (set_.format == "prompt_completion")
      return plain_or_chat(text_field(record, options_, "prompt"), optional_text(record, options_, "completion"));
    if (set_.format == "preference") return of_preference(record);
    if (set_.format == "text") return plain_or_chat(text_field(record, options_, "text"), "");
    const Rendered rendered = render_record(record, set_.format, nullptr, options_, eos_);
    const std::size_t begin = rendered.trained.back().first;  // of a pattern without a completion: 0
    const std::size_t cut = begin == 0 ? rendered.text.size() : begin;
    return plain_or_chat(rendered.text.substr(0, cut), rendered.text.substr(cut));
  }

  // An answer that nobody wants is no reference.
  PromptRow of_preference(const Json& record) {
    PreferenceRow preference = preference_row(record, template_.get(), options_, eos_);
    PreferenceAnswer& answer = preference.answers.front();
    PromptRow row = answer.conversation ? of_conversation(std::move(*answer.conversation))
                                        : plain_or_chat(answer.prompt, answer.answer);
    if (!preference.desirable) row.reference.clear();
    return row;
  }

  // Rows of prompts alone are a format here only.
  std::string format_of(const Json& record) const {
    const bool prompts = options_.objective == "sft" && options_.format == "auto" && !options_.has_pattern &&
                         record.contains(column_of(options_, "prompt")) && !record.contains("messages") &&
                         !record.contains("conversations");
    return prompts ? "prompt_completion" : detect_format(record, options_).name;
  }

  void choose_template(const std::string& format) {
    template_ = choose_chat_template(options_, format, tokenizer_);
    if (template_ != nullptr) set_.chat_template = template_->name();
  }

  PromptRow plain_or_chat(const std::string& prompt, const std::string& reference) {
    if (!chat_) return encoded({.text = prompt, .ids = {}, .reference = reference}, Rendered{.text = prompt});
    PromptRow row = of_conversation(conversation_of({Message{.role = "user", .content = prompt}}));
    row.reference = reference;
    return row;
  }

  PromptRow of_conversation(Conversation conversation) {
    PromptRow row;
    Json& messages = conversation.messages;
    if (messages.back()["role"] == "assistant") {
      const Json& content = messages.back()["content"];
      if (content.is_string()) row.reference = content.get<std::string>();
      messages.back() = Json{{"role", "assistant"}, {"content", kAnswer}};
      conversation.trained.back() = true;
    } else {
      messages.push_back(Json{{"role", "assistant"}, {"content", kAnswer}});
      conversation.trained.push_back(true);
    }
    Rendered rendered = template_->render(conversation, false);
    if (rendered.trained.empty()) throw bad_input("", "the chat template writes no answer of the assistant");
    note_turn_end(rendered);
    rendered.text.resize(rendered.trained.back().first);
    row.text = rendered.text;
    return encoded(std::move(row), rendered);
  }

  void note_turn_end(const Rendered& rendered) {
    const auto [begin, end] = rendered.trained.back();
    const std::string turn = rendered.text.substr(begin, end - begin);
    const auto answer = turn.find(kAnswer);
    if (answer == std::string::npos) return;
    const auto id = tokenizer_.token_to_id(stripped(turn.substr(answer + std::string_view(kAnswer).size())));
    if (id && std::ranges::find(set_.turn_ends, *id) == set_.turn_ends.end()) set_.turn_ends.push_back(*id);
  }

  PromptRow encoded(PromptRow row, const Rendered& rendered) const {
    Encoding encoding = encoder_.encode(rendered);
    if (!encoding.ids.empty() && encoding.added.back() != 0 && encoding.ids.back() == tokenizer_.eos_id)
      encoding.ids.pop_back();  // a tokenizer that ends every text: the answer is yet to come
    if (encoding.ids.empty())
      throw bad_input("", "the prompt is empty, and the tokenizer has no token that begins a text");
    row.ids = std::move(encoding.ids);
    return row;
  }

  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  const ExampleEncoder encoder_;
  bool chat_;
  std::string eos_;
  std::unique_ptr<ChatTemplate> template_;
  PromptSet set_;
};

}  // namespace

PromptSet load_prompts(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                       bool chat, const RowFilter& wanted) {
  PromptMaker maker(options, tokenizer, chat);
  for (const auto& file : files) maker.load_file(file, wanted);
  return maker.take();
}

PromptSet prompt_of(const Json& row, const DataOptions& options, const Tokenizer& tokenizer) {
  PromptMaker maker(options, tokenizer, false);
  maker.add_row(row);
  return maker.take();
}

PromptSet prompt_of(const std::string& text, const DataOptions& options, const Tokenizer& tokenizer, bool chat) {
  PromptMaker maker(options, tokenizer, chat);
  maker.add_text(text);
  return maker.take();
}

}  // namespace finetune
