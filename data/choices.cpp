#include "data/choices.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "data/completion.h"
#include "data/example_encoder.h"
#include "data/format.h"
#include "data/loss_marker.h"
#include "data/reader.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

void read_wanted(const std::vector<std::string>& files, const DataOptions& options, const RowFilter& wanted,
                 const std::function<void(const Json&)>& on_row) {
  for (std::size_t file = 0; file < files.size(); ++file) {
    const auto refuse = [&](std::int64_t line, const std::string& reason) {
      throw bad_input(files[file] + ":" + std::to_string(line), reason);
    };
    const auto on_record = [&](const Record& record) {
      if (wanted && !wanted(static_cast<std::int32_t>(file), record.line)) return;
      try {
        on_row(record.value);
      } catch (const Error& error) {
        refuse(record.line, error.what());
      }
    };
    read_records(files[file], options.separator, options.memory, {on_record, refuse});
  }
}

std::size_t common_prefix(const std::vector<std::vector<std::int32_t>>& sequences) {
  std::size_t length = sequences.front().size();
  for (const auto& ids : sequences) {
    const auto [end, other] = std::mismatch(sequences.front().begin(), sequences.front().end(), ids.begin(), ids.end());
    length = std::min(length, static_cast<std::size_t>(end - sequences.front().begin()));
  }
  return length;
}

class ChoiceMaker {
 public:
  ChoiceMaker(const DataOptions& options, const Tokenizer& tokenizer, const std::vector<std::string>& labels)
      : options_(options), tokenizer_(tokenizer), encoder_(tokenizer), labels_(labels) {
    if (tokenizer.eos_id) eos_ = tokenizer.id_to_token(*tokenizer.eos_id);
  }

  void add(const Json& record) {
    if (format_.empty()) {
      format_ = detect_format(record, options_).name;
      template_ = choose_chat_template(options_, format_, tokenizer_);
    }
    const RowChoices choices = labels_.empty() ? own_choices(record) : labelled(record);
    std::vector<Example> examples;
    for (const std::string& text : choices.texts) examples.push_back(example_with(record, text));
    const auto too_long = [&](const Example& e) { return std::ssize(e.ids) > options_.max_length; };
    if (std::ranges::any_of(examples, too_long))
      ++set_.too_long;
    else
      set_.rows.push_back(row_of(examples, choices));
  }

  ChoiceSet take() { return std::move(set_); }

 private:
  RowChoices own_choices(const Json& record) const {
    if (format_ != "choices")
      throw bad_input("", "the row has no column choices with a column answer; name them in data.fields");
    return choices_of(record, options_);
  }

  RowChoices labelled(const Json& record) const {
    RowChoices choices{labels_};
    const std::string own = stripped(completion_of(record, format_, options_));
    const auto found = std::ranges::find_if(labels_, [&](const auto& label) { return stripped(label) == own; });
    if (found == labels_.end())
      throw bad_input("", "the completion " + own.substr(0, 80) + " is none of the labels " +
                              join(labels_, ", ").substr(0, 200) + "; see data.labels");
    choices.right = static_cast<std::size_t>(found - labels_.begin());
    return choices;
  }

  Example example_with(const Json& record, const std::string& text) const {
    AnsweredRow row = with_completion(record, format_, options_, text);
    row.options.train_on = "completion";
    const Rendered rendered = render_record(row.record, format_, template_.get(), row.options, eos_);
    Example example = LossMarker(row.options, tokenizer_).example_of(rendered, encoder_.encode(rendered));
    while (!example.loss.empty() && example.loss.back() == 0) {  // what a template writes behind the answer
      example.loss.pop_back();
      example.ids.pop_back();
    }
    return example;
  }

  // Where a choice changes how the end of the prompt is cut into tokens, these are part of every choice.
  static ChoiceRow row_of(const std::vector<Example>& examples, const RowChoices& choices) {
    std::vector<std::vector<std::int32_t>> ids;
    std::size_t prompt = examples.front().ids.size();
    for (const Example& example : examples) {
      // The last answer of a conversation is what differs; earlier ones are loss tokens too.
      ids.push_back(example.ids);
      prompt = std::min(prompt, last_part(example));
    }
    prompt = std::min(prompt, common_prefix(ids));
    ChoiceRow row{.right = choices.right};
    for (const auto& sequence : ids) {
      if (prompt == 0 || sequence.size() <= prompt)
        throw bad_input("", "a prompt or a choice is empty, or one choice is the beginning of another");
      row.continuations.emplace_back(sequence.begin() + static_cast<std::ptrdiff_t>(prompt), sequence.end());
    }
    row.prompt.assign(ids.front().begin(), ids.front().begin() + static_cast<std::ptrdiff_t>(prompt));
    for (const auto& text : choices.texts) row.bytes.push_back(std::max<std::int64_t>(1, std::ssize(stripped(text))));
    return row;
  }

  // Where the last run of loss tokens begins.
  static std::size_t last_part(const Example& example) {
    std::size_t at = example.loss.size();
    while (at > 0 && example.loss[at - 1] == 0) --at;
    while (at > 0 && example.loss[at - 1] != 0) --at;
    return at;
  }

  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  const ExampleEncoder encoder_;
  const std::vector<std::string>& labels_;
  std::string eos_, format_;
  std::unique_ptr<ChatTemplate> template_;
  ChoiceSet set_;
};

}  // namespace

std::vector<std::string> distinct_completions(const std::vector<std::string>& files, const DataOptions& options,
                                              std::size_t most) {
  std::vector<std::string> texts;
  std::string format;
  read_wanted(files, options, {}, [&](const Json& record) {
    if (texts.size() > most) return;
    if (format.empty()) format = detect_format(record, options).name;
    const std::string text = stripped(completion_of(record, format, options));
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
  });
  return texts;
}

std::vector<std::string> unseen_labels(const std::vector<std::string>& labels, const std::vector<std::string>& files,
                                       const DataOptions& options) {
  std::vector<std::string> unseen = labels;
  std::string format;
  const auto take = [&](const Record& record) {
    try {
      if (format.empty()) format = detect_format(record.value, options).name;
      const std::string text = stripped(completion_of(record.value, format, options));
      std::erase_if(unseen, [&](const std::string& label) { return stripped(label) == text; });
    } catch (const Error&) {  // whoever reads the row for its answer names it
    }
  };
  for (const std::string& file : files)
    read_records(file, options.separator, options.memory, {take, [](std::int64_t, const auto&) {}});
  return unseen;
}

ChoiceSet load_choices(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                       const RowFilter& wanted, const std::vector<std::string>& labels) {
  ChoiceMaker maker(options, tokenizer, labels);
  read_wanted(files, options, wanted, [&](const Json& record) { maker.add(record); });
  return maker.take();
}

}  // namespace finetune
