#include "engine/generate_text.h"

#include <algorithm>

#include "core/error.h"
#include "engine/evaluate.h"
#include "models/generate/generate.h"

namespace finetune {
namespace {

// Where the first of the stop texts begins; npos without one.
std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

// Bytes at the end that may be the beginning of a stop text.
std::size_t held_back(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t most = 0;
  for (const std::string& stop : stops) {
    for (std::size_t length = std::min(stop.size() - 1, text.size()); length > most; --length) {
      if (text.ends_with(std::string_view(stop).substr(0, length))) most = length;
    }
  }
  return most;
}

// Without the replacement character that stands for a character whose bytes are not all there.
std::string whole_characters(std::string text) {
  constexpr std::string_view kReplacement = "\uFFFD";
  while (text.ends_with(kReplacement)) text.resize(text.size() - kReplacement.size());
  return text;
}

class Texts {
 public:
  Texts(const OpenedModel& model, std::span<const PromptRow> rows, const TextOptions& options, const OnText& on_text)
      : tokenizer_(*model.tokenizer),
        rows_(rows),
        positions_(model.checkpoint.options.max_positions),
        options_(options),
        on_text_(on_text) {}

  // Whether the sequence ends here.
  bool on_token(std::size_t row, std::span<const std::int32_t> ids) const {
    if (options_.stop.empty() && !options_.grows) return false;
    Completion known{.text = whole_characters(tokenizer_.decode(without_end(ids))), .ids = {ids.begin(), ids.end()}};
    if (find_stop(known.text, options_.stop) != std::string::npos) return true;
    if (!options_.grows || !on_text_) return false;
    known.text.resize(known.text.size() - held_back(known.text, options_.stop));
    on_text_(row, known, false);
    return false;
  }

  void on_end(std::size_t row, std::span<const std::int32_t> ids) const {
    if (on_text_) on_text_(row, completed(row, {ids.begin(), ids.end()}), true);
  }

  Completion completed(std::size_t row, std::vector<std::int32_t> ids) const {
    Completion done;
    const auto tokens = static_cast<std::int64_t>(rows_[row].ids.size() + ids.size());
    done.at_last_position = tokens > positions_;  // the last needs none
    done.text = tokenizer_.decode(without_end(ids));
    const std::size_t stop = find_stop(done.text, options_.stop);
    done.ended = stop != std::string::npos || (!ids.empty() && is_end(ids.back()));
    if (stop != std::string::npos) done.text.resize(stop);
    done.ids = std::move(ids);
    return done;
  }

 private:
  bool is_end(std::int32_t id) const { return std::ranges::find(options_.end_ids, id) != options_.end_ids.end(); }
  std::span<const std::int32_t> without_end(std::span<const std::int32_t> ids) const {
    return !ids.empty() && is_end(ids.back()) ? ids.first(ids.size() - 1) : ids;
  }

  const Tokenizer& tokenizer_;
  std::span<const PromptRow> rows_;
  std::int64_t positions_;
  const TextOptions& options_;
  const OnText& on_text_;
};

std::vector<Prompt> prompts_of(std::span<const PromptRow> rows, std::int64_t positions,
                               const std::function<std::string(std::size_t)>& where) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto length = static_cast<std::int64_t>(rows[i].ids.size());
    if (length > positions)
      throw bad_input(where(i), "the prompt has " + std::to_string(length) + " tokens, and the model " +
                                    std::to_string(positions) + " positions");
    prompts.push_back({.trial = 0, .ids = rows[i].ids});
  }
  return prompts;
}

}  // namespace

std::vector<Completion> generate_texts(const OpenedModel& model, std::span<const PromptRow> rows,
                                       const TextOptions& options, const std::function<std::string(std::size_t)>& where,
                                       const OnText& on_text) {
  const ops::UseKernels kernels(model.kernels);
  const DecoderBase& base = model.bases.front();
  const SingleAdapter adapter(base, model.adapter ? &*model.adapter : nullptr);
  const AdapterChoice choice{
      .slot = 0, .rank = adapter.trial().rank, .scale = adapter.trial().scale, .targets = adapter.trial().targets};
  const std::vector<Prompt> prompts = prompts_of(rows, base.options.max_positions, where);
  GenerateOptions how;
  how.max_new_tokens = options.max_new_tokens;
  how.end_ids = options.end_ids;
  const Texts texts(model, rows, options, on_text);
  std::vector<std::vector<std::int32_t>> ids =
      generate(base, adapter.bank(), std::span(&choice, 1), prompts, how,
               {.on_token = [&](std::size_t row, SequenceWatch::Ids made) { return texts.on_token(row, made); },
                .on_end = [&](std::size_t row, SequenceWatch::Ids made) { texts.on_end(row, made); }});
  std::vector<Completion> completions;
  for (std::size_t i = 0; i < ids.size(); ++i) completions.push_back(texts.completed(i, std::move(ids[i])));
  return completions;
}

}  // namespace finetune
