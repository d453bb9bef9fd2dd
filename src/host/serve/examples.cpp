#include "host/serve/examples.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "data/part_examples.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kLosses{std::pair{TokenLoss::cross_entropy, "cross_entropy"},
                             std::pair{TokenLoss::importance_sampling, "importance_sampling"},
                             std::pair{TokenLoss::ppo, "ppo"}, std::pair{TokenLoss::cispo, "cispo"}};

constexpr std::size_t kMostFormats = 64;  // kinds of rows that somebody may mix; beyond, all are opened anew

bool has_ratio(TokenLoss loss) {
  return loss != TokenLoss::cross_entropy;
}

bool clips(TokenLoss loss) {
  return loss == TokenLoss::ppo || loss == TokenLoss::cispo;
}

const char* name_of(TokenLoss loss) {
  return std::ranges::find_if(kLosses, [=](const auto& one) { return one.first == loss; })->second;
}

// What lists beside ids say of the last tokens.
struct TokenLists {
  std::vector<double> weights, logprobs, advantages;
};

void require_length(const std::vector<double>& list, std::size_t length, const std::string& path,
                    const std::string& other) {
  if (list.size() != length)
    throw bad_input(
        "", path + " has " + std::to_string(list.size()) + " entries, and " + other + " " + std::to_string(length));
}

TokenLists lists_of(Fields& fields, const LossChoice& loss) {
  TokenLists lists;
  const Json* weights = fields.find("weights");
  if (weights != nullptr) lists.weights = numbers_of(*weights, fields.path("weights"));
  if (!has_ratio(loss.loss)) {
    if (weights == nullptr)
      throw bad_input("", fields.path("weights") + " is missing: what the loss of each of the last tokens counts");
    return lists;
  }
  lists.logprobs = numbers_of(fields.need("logprobs"), fields.path("logprobs"));
  const Json& advantages = fields.need("advantages");
  lists.advantages = advantages.is_number() ? std::vector(lists.logprobs.size(), advantages.get<double>())
                                            : numbers_of(advantages, fields.path("advantages"));
  if (weights == nullptr) lists.weights.assign(lists.logprobs.size(), 1);
  require_length(lists.advantages, lists.logprobs.size(), fields.path("advantages"), "logprobs");
  require_length(lists.weights, lists.logprobs.size(), fields.path("weights"), "logprobs");
  return lists;
}

}  // namespace

LossChoice loss_of(Fields& fields) {
  LossChoice choice;
  std::vector<std::string> names;
  for (const auto& [loss, name] : kLosses) names.emplace_back(name);
  if (fields.has("loss")) {
    const std::string text = fields.text("loss");
    const auto found = std::ranges::find_if(kLosses, [&](const auto& one) { return text == one.second; });
    if (found == kLosses.end())
      throw bad_input(
          "", fields.path("loss") + " is " + text + "; known are " + join(names, ", ") + did_you_mean(text, names));
    choice.loss = found->first;
  }
  if (!clips(choice.loss)) return choice;
  choice.clip_low = fields.number("clip_low", {.low = 0, .high = 1}, choice.clip_low);
  choice.clip_high = fields.number("clip_high", {.low = 1}, choice.clip_high);
  return choice;
}

ExampleReader::ExampleReader(DataOptions options, const Tokenizer& tokenizer, std::int64_t vocabulary)
    : options_(std::move(options)), tokenizer_(tokenizer), vocabulary_(vocabulary) {}

TermedExample ExampleReader::of_ids(const Json& entry, const std::string& path, const LossChoice& loss) const {
  Fields fields(entry, path);
  TermedExample one;
  Example& example = one.example;
  example.ids = token_ids_of(fields.need("ids"), fields.path("ids"), vocabulary_);
  const TokenLists lists = lists_of(fields, loss);
  fields.done();
  if (std::ssize(example.ids) > options_.max_length)
    throw bad_input("", fields.path("ids") + " has " + std::to_string(example.ids.size()) +
                            " tokens, more than data.max_length = " + std::to_string(options_.max_length));
  if (lists.weights.size() > example.ids.size())
    throw bad_input("", fields.path("weights") + " has " + std::to_string(lists.weights.size()) + " entries, and ids " +
                            std::to_string(example.ids.size()));
  const std::size_t first = example.ids.size() - lists.weights.size();
  if (first == 0 && !lists.weights.empty() && lists.weights.front() != 0)
    throw bad_input("", path + ": the first token has nothing before it, so it carries no loss; its weight is 0");
  example.loss.assign(example.ids.size(), 0);
  for (std::size_t i = 0; i < lists.weights.size(); ++i) {
    if (lists.weights[i] == 0) continue;
    example.loss[first + i] = 1;
    TokenTerm term{
        .loss = loss.loss, .weight = lists.weights[i], .clip_low = loss.clip_low, .clip_high = loss.clip_high};
    if (has_ratio(loss.loss)) {
      term.logprob = lists.logprobs[i];
      term.advantage = lists.advantages[i];
    }
    one.terms.push_back(term);
  }
  return one;
}

const RecordFormat& ExampleReader::format_of(const Json& entry) {
  std::string columns;
  for (const auto& [name, value] : entry.items()) columns += Json(name).dump() + value.type_name() + " ";
  if (formats_.size() >= kMostFormats) formats_.clear();
  std::unique_ptr<RecordFormat>& format = formats_[columns];
  if (!format) {
    auto opened = std::make_unique<RecordFormat>(options_, tokenizer_);
    opened->open({.value = entry, .line = 1});
    format = std::move(opened);
  }
  return *format;
}

Example ExampleReader::of_row(const Json& entry, std::int64_t& truncated) {
  PartExamples part(format_of(entry), 0);
  part.add({.value = entry, .line = 1});
  const Dataset made = part.take();
  if (!made.rejects.empty()) throw bad_input("", made.rejects.front().reason);
  if (!made.unused_columns.empty())
    throw bad_input(
        "", made.unused_columns.front() + " has no meaning in a row of format " + format_of(entry).detected().name);
  if (made.dropped_long > 0)
    throw bad_input("", "is longer than data.max_length = " + std::to_string(options_.max_length));
  if (made.examples.empty()) throw bad_input("", "has no token that carries loss");
  if (made.examples.highest_id() >= vocabulary_)
    throw bad_input("", "has a token outside the model's vocabulary of " + std::to_string(vocabulary_));
  truncated += made.truncated;
  const ExampleView view = made.examples.front();
  Example example;
  example.ids.assign(view.ids.begin(), view.ids.end());
  example.loss.assign(view.loss.begin(), view.loss.end());
  example.loss_bytes = view.loss_bytes;
  return example;
}

ReadExamples ExampleReader::read(const Json& list, const std::string& path, const LossChoice& loss) {
  ReadExamples all;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string here = path + "[" + std::to_string(i) + "]";
    if (!list[i].is_object()) throw bad_input("", here + " is " + shown(list[i]) + "; an object is possible");
    if (list[i].contains("ids")) {
      all.examples.push_back(of_ids(list[i], here, loss));
      if (all.examples.back().example.loss_tokens() == 0)
        throw bad_input("", here + " has no token that carries loss: every weight is 0");
      continue;
    }
    if (has_ratio(loss.loss))
      throw bad_input("", here + ".ids is missing: " + name_of(loss.loss) +
                              " needs tokens as they were sampled, with logprobs and advantages");
    try {
      all.examples.push_back({of_row(list[i], all.truncated), {}});
    } catch (const Error& error) {
      throw error.at(here);
    }
  }
  return all;
}

}  // namespace finetune
