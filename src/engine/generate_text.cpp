#include "engine/generate_text.h"

#include <algorithm>

#include "core/error.h"
#include "engine/evaluate.h"
#include "models/generate/end_ids.h"
#include "models/generate/generate.h"

namespace finetune {
namespace {

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
  // A sequence is a row of a trial: all rows of the first, then those of the next.
  Texts(const Tokenizer& tokenizer, std::int64_t positions, std::span<const PromptRow> rows, const TextOptions& options,
        const OnText& on_text)
      : tokenizer_(tokenizer), rows_(rows), positions_(positions), options_(options), on_text_(on_text) {}

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

  Completion completed(std::size_t sequence, std::vector<std::int32_t> ids) const {
    Completion done;
    const auto tokens = static_cast<std::int64_t>(rows_[sequence % rows_.size()].ids.size() + ids.size());
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

}  // namespace

std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

void require_position(std::int64_t tokens, std::int64_t positions, const std::string& where) {
  if (tokens <= positions) return;
  throw bad_input(where, "the prompt has " + std::to_string(tokens) + " tokens, and the model " +
                             std::to_string(positions) + " positions");
}

std::vector<std::int32_t> end_ids_for(const std::filesystem::path& folder, std::int64_t vocabulary,
                                      const Tokenizer& tokenizer, const PromptSet& prompts) {
  std::vector<std::int32_t> ids = end_ids_of(folder, vocabulary);
  if (ids.empty() && tokenizer.eos_id) ids.push_back(*tokenizer.eos_id);
  for (const std::int32_t id : prompts.turn_ends) {
    if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

std::vector<std::vector<Completion>> generate_texts(const EvaluatedPack& pack, const Tokenizer& tokenizer,
                                                    std::span<const PromptRow> rows, const TextOptions& options,
                                                    const OnText& on_text) {
  std::vector<Prompt> prompts;
  for (std::size_t trial = 0; trial < pack.adapters.size(); ++trial) {
    for (const PromptRow& row : rows) prompts.push_back({.trial = trial, .ids = row.ids});
  }
  GenerateOptions how;
  how.max_new_tokens = options.max_new_tokens;
  how.end_ids = options.end_ids;
  how.tokens_per_pass = pack.tokens_per_pass;
  how.cache_bytes = pack.cache_bytes;
  const Texts texts(tokenizer, pack.base.options.max_positions, rows, options, on_text);
  const SequenceWatch watch{
      .on_token =
          [&](std::size_t sequence, SequenceWatch::Ids made) {
            check_interrupt(pack);
            return texts.on_token(sequence, made);
          },
      .on_end = [&](std::size_t sequence, SequenceWatch::Ids made) { texts.on_end(sequence, made); }};
  auto ids = generate(pack.base, pack.bank, pack.adapters, prompts, how, watch);
  std::vector<std::vector<Completion>> completions(pack.adapters.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    completions[i / rows.size()].push_back(texts.completed(i, std::move(ids[i])));
  return completions;
}

std::vector<Completion> generate_texts(const OpenedModel& model, std::span<const PromptRow> rows,
                                       const TextOptions& options, const std::function<std::string(std::size_t)>& where,
                                       const OnText& on_text, const std::function<bool()>& interrupted) {
  const ops::UseKernels kernels(model.kernels);
  const DecoderBase& base = model.bases.front();
  for (std::size_t i = 0; i < rows.size(); ++i)
    require_position(std::ssize(rows[i].ids), base.options.max_positions, where(i));
  const SingleAdapter adapter(base, model.adapter ? &*model.adapter : nullptr);
  const AdapterChoice choice = choice_of(adapter.trial());
  EvaluatedPack pack{.base = base, .bank = adapter.bank(), .adapters = std::span(&choice, 1)};
  pack.interrupted = interrupted;
  return generate_texts(pack, *model.tokenizer, rows, options, on_text).front();
}

}  // namespace finetune
