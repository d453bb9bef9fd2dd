#include "data/part_examples.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/dataset_sum.h"
#include "data/preference.h"
#include "data/sequences.h"
#include "data/unused_columns.h"

namespace finetune {

void PartExamples::reject(std::int64_t line, const std::string& reason) {
  ++data_.records;
  data_.rejects.push_back({file_, line, reason});
}

void PartExamples::add(const Record& record) {
  try {
    note_columns(record);
    if (format_.detected().name == "preference")
      add_preference(record);
    else
      add_text(record);
    ++data_.records;
  } catch (const Error& error) {
    reject(record.line, error.what());
  }
}

void PartExamples::add_text(const Record& record) {
  const DataOptions& options = format_.options();
  const Rendered rendered =
      render_record(record.value, format_.detected().name, format_.chat_template(), options, format_.eos());
  const Encoding encoding = format_.encoder().encode(rendered);
  Example example = format_.marker().example_of(rendered, encoding);
  data_.straddling += format_.marker().straddling(rendered, encoding);
  if (!fit(example)) return;
  if (example.loss_tokens() == 0) {
    ++data_.dropped_no_loss;
    if (!options.keep_without_loss) return;
  }
  example.loss_bytes = format_.marker().loss_bytes(example, encoding);
  if (options.by_role) count_roles(example, rendered, encoding);
  count(std::move(example), record);
}

void PartExamples::add_preference(const Record& record) {
  const DataOptions& options = format_.options();
  const PreferenceRow row = preference_row(record.value, format_.chat_template(), options, format_.eos());
  std::vector<Example> sequences;
  for (const PreferenceAnswer& answer : row.answers) {
    const Rendered rendered = render_answer(answer, format_.chat_template(), options.by_role);
    const Encoding encoding = format_.encoder().encode(rendered);
    sequences.push_back(format_.marker().example_of(rendered, encoding));
    data_.straddling += format_.marker().straddling(rendered, encoding);
    if (options.by_role) count_roles(sequences.back(), rendered, encoding);
  }
  align_answers(sequences);
  const std::int64_t truncated = data_.truncated;
  const bool kept = std::ranges::all_of(sequences, [&](Example& one) { return fit(one); });
  data_.truncated = std::min(data_.truncated, truncated + 1);  // of examples, not of sequences
  if (!kept) return;
  if (std::ranges::any_of(sequences, [](const Example& one) { return one.loss_tokens() == 0; })) {
    ++data_.dropped_no_loss;
    return;
  }
  Example example = joined(sequences, options.objective == "orpo");
  example.desirable = row.desirable;
  count(std::move(example), record);
}

// One sequence to data.max_length; false where it is dropped.
bool PartExamples::fit(Example& sequence) {
  const DataOptions& options = format_.options();
  const auto limit = static_cast<std::size_t>(options.max_length);
  if (sequence.ids.size() <= limit) return true;
  if (options.truncate == "error") {
    throw bad_input("", "has " + std::to_string(sequence.ids.size()) +
                            " tokens, more than data.max_length = " + std::to_string(limit));
  }
  if (options.truncate == "drop") {
    ++data_.dropped_long;
    return false;
  }
  ++data_.truncated;
  sequence.ids.resize(limit);
  sequence.loss.resize(limit);
  return true;
}

void PartExamples::count(Example example, const Record& record) {
  example.file = file_;
  example.line = record.line;
  data_.tokens += std::ssize(example.ids);
  data_.loss_tokens += example.loss_tokens();
  examples_.push_back(std::move(example));
}

// A token is the role's in whose text its last byte lies.
void PartExamples::count_roles(const Example& example, const Rendered& rendered, const Encoding& encoding) {
  std::size_t message = 0;
  for (std::size_t i = 0; i < std::min(example.ids.size(), encoding.ids.size()) && !rendered.roles.empty(); ++i) {
    while (message + 1 < rendered.roles.size() && encoding.spans[i].second > rendered.roles[message].second) ++message;
    add_role(data_.roles, {rendered.roles[message].first, 1, example.loss[i]});
  }
}

void PartExamples::note_columns(const Record& record) {
  const std::string& name = format_.detected().name;
  for (auto& column : unused_columns(record.value, name, format_.options(), format_.hands_over()))
    add_column(data_.unused_columns, std::move(column));
}

Dataset PartExamples::take() {
  if (!examples_.empty()) data_.examples.add(make_block(examples_));
  return std::move(data_);
}

}  // namespace finetune
