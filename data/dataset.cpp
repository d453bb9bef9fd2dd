#include "data/dataset.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/text.h"
#include "data/example_encoder.h"
#include "data/format.h"
#include "data/loss_marker.h"
#include "data/preference.h"
#include "data/reader.h"
#include "data/sequences.h"
#include "data/unused_columns.h"

namespace finetune {
namespace {

// Builds examples record by record and counts what happens to them.
class Loader {
 public:
  Loader(const DataOptions& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer), encoder_(tokenizer), marker_(options, tokenizer) {
    if (tokenizer.eos_id) eos_ = tokenizer.id_to_token(*tokenizer.eos_id);
  }

  void load_file(const std::string& path) {
    const auto file = static_cast<std::int32_t>(data_.files.size());
    data_.files.push_back(path);
    read_records(path, options_.separator,
                 {[&](const Record& record) { add(path, file, record); },
                  [&](std::int64_t line, const std::string& reason) { reject(path, line, reason); }});
  }

  Dataset take() { return std::move(data_); }

 private:
  void reject(const std::string& path, std::int64_t line, const std::string& reason) {
    ++data_.records;
    data_.rejects.push_back({path + ":" + std::to_string(line), reason});
  }

  void add(const std::string& path, std::int32_t file, const Record& record) {
    try {
      if (data_.format.empty()) {
        const DetectedFormat detected = detect_format(record.value, options_);
        const bool pairs = detected.name == "preference";
        const std::string style = pairs ? preference_style(record.value, options_) : detected.name;
        template_ = choose_chat_template(options_, style, tokenizer_);
        if (template_ != nullptr) data_.chat_template = template_->name();
        if (template_ != nullptr) data_.reads_date = template_->reads_date();
        data_.format = detected.name;
        data_.format_reason = detected.reason;
      }
      note_columns(record);
      if (data_.format == "preference") return add_preference(path, file, record);
      const Rendered rendered = render_record(record.value, data_.format, template_.get(), options_, eos_);
      const Encoding encoding = encoder_.encode(rendered);
      Example example = marker_.example_of(rendered, encoding);
      data_.straddling += marker_.straddling(rendered, encoding);
      example.file = file;
      example.line = record.line;
      ++data_.records;
      keep(path, std::move(example), rendered, encoding);
    } catch (const Error& error) {
      if (data_.format.empty()) throw bad_input(path + ":" + std::to_string(record.line), error.what());
      reject(path, record.line, error.what());
    }
  }

  void add_preference(const std::string& path, std::int32_t file, const Record& record) {
    const PreferenceRow row = preference_row(record.value, template_.get(), options_, eos_);
    std::vector<Example> sequences;
    for (const PreferenceAnswer& answer : row.answers) {
      const Rendered rendered = render_answer(answer, template_.get(), options_.by_role);
      const Encoding encoding = encoder_.encode(rendered);
      sequences.push_back(marker_.example_of(rendered, encoding));
      data_.straddling += marker_.straddling(rendered, encoding);
      if (options_.by_role) count_roles(sequences.back(), rendered, encoding);
    }
    ++data_.records;
    align_answers(sequences);
    const std::int64_t truncated = data_.truncated;
    const bool kept = std::ranges::all_of(sequences, [&](Example& one) { return fit(path, record.line, one); });
    data_.truncated = std::min(data_.truncated, truncated + 1);  // of examples, not of sequences
    if (!kept) return;
    if (std::ranges::any_of(sequences, [](const Example& one) { return one.loss_tokens() == 0; })) {
      ++data_.dropped_no_loss;
      return;
    }
    Example example = joined(sequences, options_.objective == "orpo");
    example.file = file;
    example.line = record.line;
    example.desirable = row.desirable;
    count(std::move(example));
  }

  void note_columns(const Record& record) {
    for (auto& column : unused_columns(record.value, data_.format, options_, hands_over())) {
      if (std::find(data_.unused_columns.begin(), data_.unused_columns.end(), column) == data_.unused_columns.end())
        data_.unused_columns.push_back(std::move(column));
    }
  }

  // A template that takes all columns; the formats by name take none.
  bool hands_over() const { return template_ != nullptr && template_->takes_columns(); }

  void keep(const std::string& path, Example example, const Rendered& rendered, const Encoding& encoding) {
    if (!fit(path, example.line, example)) return;
    if (example.loss_tokens() == 0) {
      ++data_.dropped_no_loss;
      if (!options_.keep_without_loss) return;
    }
    example.loss_bytes = marker_.loss_bytes(example, encoding);
    if (options_.by_role) count_roles(example, rendered, encoding);
    count(std::move(example));
  }

  void count(Example example) {
    data_.tokens += static_cast<std::int64_t>(example.ids.size());
    data_.loss_tokens += example.loss_tokens();
    data_.examples.push_back(std::move(example));
  }

  // One sequence to data.max_length; false where it is dropped.
  bool fit(const std::string& path, std::int64_t line, Example& sequence) {
    const auto limit = static_cast<std::size_t>(options_.max_length);
    if (sequence.ids.size() <= limit) return true;
    if (options_.truncate == "error") {
      throw bad_input(path + ":" + std::to_string(line),
                      "has " + std::to_string(sequence.ids.size()) +
                          " tokens, more than data.max_length = " + std::to_string(limit));
    }
    if (options_.truncate == "drop") {
      ++data_.dropped_long;
      return false;
    }
    ++data_.truncated;
    sequence.ids.resize(limit);
    sequence.loss.resize(limit);
    return true;
  }

  // A token is the role's in whose text its last byte lies.
  void count_roles(const Example& example, const Rendered& rendered, const Encoding& encoding) {
    std::size_t message = 0;
    for (std::size_t i = 0; i < std::min(example.ids.size(), encoding.ids.size()) && !rendered.roles.empty(); ++i) {
      while (message + 1 < rendered.roles.size() && encoding.spans[i].second > rendered.roles[message].second)
        ++message;
      const std::string& role = rendered.roles[message].first;
      auto found =
          std::find_if(data_.roles.begin(), data_.roles.end(), [&](const auto& one) { return one.role == role; });
      if (found == data_.roles.end()) found = data_.roles.insert(data_.roles.end(), RoleCount{role});
      ++found->tokens;
      found->loss_tokens += example.loss[i];
    }
  }

  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  const ExampleEncoder encoder_;
  const LossMarker marker_;
  std::string eos_;
  std::unique_ptr<ChatTemplate> template_;
  Dataset data_;
};

// FNV-1a over the ids: the same example hashes the same whatever else is in the data.
std::uint64_t hash_of(const Example& example) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const auto id : example.ids) {
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (static_cast<std::uint32_t>(id) >> shift & 0xff)) * 0x100000001b3ull;
  }
  // A final mix: FNV's high bits are weak on short inputs (constants of MurmurHash3's finaliser).
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
  return hash ^ hash >> 33;
}

}  // namespace

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                     bool collect_rejects) {
  Loader loader(options, tokenizer);
  for (const auto& file : files) loader.load_file(file);
  Dataset data = loader.take();
  if (!data.rejects.empty() && !collect_rejects) {
    const std::size_t more = data.rejects.size() - 1;
    throw bad_input(data.rejects[0].where,
                    data.rejects[0].reason + (more > 0 ? " (and " + with_commas(static_cast<long long>(more)) +
                                                             " more bad lines; finetune_tune check lists them)"
                                                       : ""));
  }
  return data;
}

std::string share_problem(const Dataset& data, const DataOptions& options) {
  const auto examples = static_cast<std::int64_t>(data.examples.size());
  if (data.chat_template.empty() || data.records == 0) return "";
  if (data.loss_tokens == 0) {
    return "no token of the conversations is trained: the template " + data.chat_template +
           " writes nothing for the assistant's messages, all of them are left out, or data.max_length cuts them off";
  }
  if (options.train_on == "all" || data.loss_tokens < data.tokens - examples) return "";  // the first is no target
  return "every token of the conversations is trained, prompts included; look at the rows with check, or set "
         "data.train_on: all where that is meant";
}

std::vector<Example> split_by_hash(std::vector<Example>& examples, double fraction) {
  if (examples.size() < 2) return {};
  const double wanted = fraction * static_cast<double>(examples.size());
  const auto count =
      static_cast<std::size_t>(std::clamp(wanted, 1.0, std::min(2000.0, static_cast<double>(examples.size() - 1))));
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < examples.size(); ++i) order.emplace_back(hash_of(examples[i]), i);
  std::sort(order.begin(), order.end());
  std::vector<std::uint8_t> held(examples.size(), 0);
  for (std::size_t k = 0; k < count; ++k) held[order[k].second] = 1;
  std::vector<Example> valid, train;
  for (std::size_t i = 0; i < examples.size(); ++i) (held[i] ? valid : train).push_back(std::move(examples[i]));
  examples = std::move(train);
  return valid;
}

}  // namespace finetune
