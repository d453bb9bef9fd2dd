#include "engine/open_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "data/cache/token_cache.h"
#include "data/data_files.h"
#include "data/dataset_notes.h"

namespace finetune {
namespace {

constexpr double kDefaultValidFraction = 0.05;

std::string todays_date() {
  const std::time_t now = std::time(nullptr);
  std::tm today{};
  localtime_r(&now, &today);
  return fmt::format("{:04}-{:02}-{:02}", today.tm_year + 1900, today.tm_mon + 1, today.tm_mday);
}

// Today's date where none is given: the one thing about a run that comes from a clock, so it is kept in the
// configuration, but only where a template reads it.
class DateOfRun {
 public:
  explicit DateOfRun(DataConfig& data) : data_(data), given_(!data.date.empty()) {
    if (given_) return;
    data.date = todays_date();
  }
  void keep_if(bool read) {
    if (!given_ && !read) data_.date.clear();
  }

 private:
  DataConfig& data_;
  bool given_;
};

void require_examples(const Dataset& data, const std::string& key) {
  if (!data.examples.empty()) return;
  throw bad_input(join(data.files, ", "),
                  fmt::format("{} has no usable example: {} read, {} without a loss token, {} too long", key,
                              data.records, data.dropped_no_loss, data.dropped_long));
}

void require_shares(const Dataset& data, const DataOptions& options) {
  const std::string problem = share_problem(data, options);
  if (!problem.empty() && data.rejects.empty()) throw bad_input(join(data.files, ", "), problem);
}

double share_to_hold_out(const DataConfig& data, const DataUse& use) {
  return data.valid_fraction_given || !use.holds_out ? data.valid_fraction : kDefaultValidFraction;
}

void hold_out(OpenedData& data, double fraction) {
  data.valid.files = data.train.files;
  data.valid.parts = data.train.parts;
  data.valid.examples = split_by_hash(data.train.examples, fraction);
  for (const auto& example : data.valid.examples) {
    data.valid.tokens += static_cast<std::int64_t>(example.ids.size());
    data.valid.loss_tokens += example.loss_tokens();
  }
  data.train.tokens -= data.valid.tokens;
  data.train.loss_tokens -= data.valid.loss_tokens;
  data.valid_source = number_to_text(fraction * 100) + " % of data.train, chosen by hash";
}

// Nothing can be measured where no token is.
void require_loss(const Dataset& data, const std::string& key) {
  if (data.loss_tokens > 0) return;
  throw bad_input(
      join(data.files, ", "),
      fmt::format("{} has no token that carries loss: prompts fill data.max_length, or nothing is an answer", key));
}

// Silent where it is soon done.
std::function<void(const LoadProgress&)> progress_lines(const std::function<void(const std::string&)>& say) {
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kFirst{5}, kEach{10};
  if (!say) return {};
  return [say, next = Clock::now() + kFirst](const LoadProgress& progress) mutable {
    if (progress.share >= 1 || Clock::now() < next) return;
    say("reading " + progress.file + ": " + std::to_string(static_cast<int>(100 * progress.share)) + " %");
    next = Clock::now() + kEach;
  };
}

// Reads what keys of data.* name, and says what happened to it.
struct DataReader {
  const DataOptions& options;
  const Tokenizer& tokenizer;
  const DataUse& use;
  const CacheOptions& cache;
  std::vector<std::string>& notes;

  Dataset read(const std::vector<std::string>& paths, Split split, const std::string& key) const {
    Dataset data = load_dataset(data_files(paths, split, key, notes), options, tokenizer,
                                {.collect_rejects = use.collect_rejects,
                                 .progress = progress_lines(use.say),
                                 .cache = &cache,
                                 .say = [&](const std::string& line) { notes.push_back(line); }});
    for (auto& line : dataset_notes(data, key, options)) notes.push_back(std::move(line));
    if (use.trains) require_shares(data, options);
    if (!use.collect_rejects) require_examples(data, key);
    if (!use.trains) require_loss(data, key);
    return data;
  }

  // Entries that have names, or are drawn by shares, are read one by one, each in the format that it has.
  Dataset read(const std::vector<DataSource>& sources, Split split, const std::string& key, bool mixed) const {
    const auto has_name = [](const DataSource& source) { return !source.name.empty(); };
    if (!mixed && std::ranges::none_of(sources, has_name)) return read(paths_of(sources), split, key);
    Dataset all;
    for (const DataSource& source : sources) {
      Dataset part = read({source.path}, split, key + (source.name.empty() ? "" : " " + source.name));
      part.parts.push_back({source.name, source.path, static_cast<std::int32_t>(part.files.size())});
      append(all, std::move(part));
    }
    return all;
  }
};

void check_ids(const Dataset& data, std::int64_t vocabulary) {
  if (data.examples.highest_id() < vocabulary) return;
  for (const ExampleView& example : data.examples) {
    const auto id = std::ranges::find_if(example.ids, [&](std::int32_t one) { return one >= vocabulary; });
    if (id == example.ids.end()) continue;
    throw bad_input(place_of(data, example.file, example.line),
                    "token id " + std::to_string(*id) + " is outside the model's vocabulary of " +
                        std::to_string(vocabulary) + "; tokenizer and model do not belong together");
  }
}

}  // namespace

void limit_length(RunConfig& config, std::int64_t positions, std::vector<std::string>& notes) {
  std::int64_t& max_length = config.data.max_length;
  if (max_length <= positions) return;
  if (config.is_given("data.max_length"))
    notes.push_back(fmt::format("data.max_length = {} lowered to the model's {} positions", max_length, positions));
  max_length = positions;
}

void require_parts(const Dataset& data) {
  const std::vector<std::int64_t> sizes = part_sizes(data);
  for (std::size_t i = 0; i < data.parts.size(); ++i) {
    if (sizes[i] == 0) throw bad_input(data.parts[i].path, "has a weight in data.train, and no example to draw");
  }
}

DataOptions data_options(const RunConfig& config, const DataUse& use) {
  const DataConfig& data = config.data;
  DataOptions options;
  options.objective = to_text(config.train.objective);
  options.format = data.format;
  options.fields.assign(data.fields.begin(), data.fields.end());
  options.has_pattern = data.prompt.has_value() || data.completion.has_value();
  options.prompt = data.prompt.value_or("");
  options.completion = data.completion.value_or("");
  options.chat_template = data.chat_template;
  options.date = data.date.empty() ? todays_date() : data.date;
  // A measurement of a model without a template is comparable whatever the form, and says which; nothing is trained on
  // a guess.
  if (!use.trains) options.assumed_template = "chatml";
  options.by_role = use.collect_rejects;
  options.max_length = data.max_length;
  options.truncate = data.truncate;
  options.train_on = data.train_on;
  options.append_eos = data.append_eos;
  options.separator = data.separator.value_or("");
  options.memory = data.memory;
  options.keep_without_loss = !use.trains;
  return options;
}

OpenedData open_data(RunConfig& config, const Tokenizer& tokenizer, const DecoderOptions& model, const DataUse& use,
                     std::vector<std::string>& notes) {
  DataConfig& keys = config.data;
  limit_length(config, model.max_positions, notes);
  DateOfRun date(keys);
  const DataOptions options = data_options(config, use);
  const CacheOptions cache{.folder = token_cache_folder(), .checkpoint = config.model.path};
  const DataReader reader{options, tokenizer, use, cache, notes};
  OpenedData data;
  if (use.trains) data.train = reader.read(keys.train, Split::train, "data.train", !config.train.shares.empty());
  if (!keys.valid.empty()) {
    data.valid = reader.read(keys.valid, Split::valid, "data.valid", false);
    data.valid_source = join(paths_of(keys.valid), ", ");
  } else {
    keys.valid_fraction = share_to_hold_out(keys, use);
    if (use.trains && keys.valid_fraction > 0) {
      hold_out(data, keys.valid_fraction);
      if (!use.collect_rejects) require_examples(data.train, "data.train");
    }
  }
  if (use.trains && !config.train.shares.empty() && !use.collect_rejects) require_parts(data.train);
  if (use.trains && !keys.test.empty()) data.test = reader.read(keys.test, Split::test, "data.test");
  date.keep_if(data.train.reads_date || data.valid.reads_date);
  data.chat_template = data.train.chat_template.empty() ? data.valid.chat_template : data.train.chat_template;
  if (!data.chat_template.empty()) notes.push_back(chat_template_note(data.chat_template, options));
  check_ids(data.train, model.vocab_size);
  check_ids(data.valid, model.vocab_size);
  check_ids(data.test, model.vocab_size);
  return data;
}

}  // namespace finetune
