#include "engine/pack_data.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/api/noise.h"

namespace finetune {
namespace {

std::int64_t up_to(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::int64_t power_of_two(std::int64_t value) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(1, value))));
}

void close_segment(PackData& pack) {
  const auto end = static_cast<std::int64_t>(pack.ids.size());
  pack.longest = std::max(pack.longest, end - pack.bounds.back());
  pack.bounds.push_back(static_cast<std::int32_t>(end));
}

// Of the last loss row.
void add_term(PackData& pack, const TokenTerm& term, double scale) {
  pack.terms.resize(pack.loss_rows.size());
  pack.terms.back() = term;
  pack.scales.back() = static_cast<float>(scale * term.weight);
}

// Tokens [begin, end) of an example. Takes the terms of its loss tokens off `terms`.
void add_sequence(PackData& pack, const ExampleView& example, std::size_t begin, std::size_t end, double scale,
                  std::span<const TokenTerm>& terms, const AngleRows& angles) {
  const auto first = static_cast<std::int64_t>(pack.ids.size());
  const std::int64_t first_angle = angles.first(static_cast<std::int64_t>(end - begin));
  for (std::size_t i = begin; i < end; ++i) {
    pack.ids.push_back(example.ids[i]);
    pack.positions.push_back(static_cast<std::int32_t>(first_angle + static_cast<std::int64_t>(i - begin)));
    if (i + 1 == end || !example.loss[i + 1]) continue;
    pack.loss_rows.push_back(first + static_cast<std::int64_t>(i - begin));
    pack.targets.push_back(example.ids[i + 1]);
    pack.scales.push_back(static_cast<float>(scale));
    if (!terms.empty()) add_term(pack, terms.front(), scale);
    if (!terms.empty()) terms = terms.subspan(1);
  }
  close_segment(pack);
}

// Loss rows of tokens [begin, end) before the answer.
std::int64_t prompt_rows(const ExampleView& example, std::size_t sequence, std::int64_t begin) {
  if (example.answers.empty()) return 0;
  const auto first = example.loss.begin();
  return std::count(first + begin, first + example.answers[sequence], std::uint8_t{1});
}

void add_example(PackData& pack, const ExampleView& example, double scale, std::span<const TokenTerm> terms,
                 const AngleRows& angles) {
  const std::int64_t whole = std::ssize(example.ids);
  const std::int64_t number = pack.sequences.empty() ? 0 : pack.sequences.back().example + 1;
  std::size_t begin = 0, sequence = 0;
  for (const std::int64_t end : example.ends.empty() ? Slice<std::int64_t>(&whole, 1) : example.ends) {
    const std::int64_t first_row = std::ssize(pack.loss_rows);
    add_sequence(pack, example, begin, static_cast<std::size_t>(end), scale, terms, angles);
    pack.sequences.push_back({.begin = first_row,
                              .end = std::ssize(pack.loss_rows),
                              .answer = first_row + prompt_rows(example, sequence, static_cast<std::int64_t>(begin)),
                              .example = number,
                              .trial = pack.trials.size() - 1,
                              .reference = example.reference.empty() ? 0 : example.reference[sequence],
                              .desirable = example.desirable});
    begin = static_cast<std::size_t>(end);
    ++sequence;
  }
}

void add_padding_segment(PackData& pack, std::int64_t tokens) {
  pack.ids.resize(pack.ids.size() + static_cast<std::size_t>(tokens), 0);
  pack.positions.resize(pack.ids.size(), 0);  // any position that every model has
  close_segment(pack);
}

// Repeats the loss rows with scale zero: each in turn, since a GPU adds to one row one after the other.
void pad_loss_rows(PackData& pack, std::int64_t rows) {
  if (pack.loss_rows.empty()) return;
  for (std::size_t i = 0; static_cast<std::int64_t>(pack.loss_rows.size()) < rows; ++i) {
    pack.loss_rows.push_back(pack.loss_rows[i]);
    pack.targets.push_back(pack.targets[i]);
    pack.scales.push_back(0);
  }
}

kernels::AdapterGroup group_of(const PackTrial& trial, std::int64_t begin, std::int64_t end, std::int64_t token_base) {
  return {.begin = begin,
          .end = end,
          .slot = trial.slot,
          .rank = static_cast<std::int32_t>(trial.rank),
          .projections = trial.targets.bits(),
          .scale = trial.scale,
          .dropout = static_cast<float>(trial.dropout),
          .seed = trial.seed,
          .step = trial.step,
          .token_base = token_base,
          .magnitudes = trial.dora};
}

// Over the segments of the last group: within alpha / sqrt(tokens x width) of an example.
void add_noise(PackData& pack, double alpha, std::int64_t width) {
  if (alpha <= 0) return;
  pack.noise.resize(pack.ids.size() * static_cast<std::size_t>(width));
  const kernels::AdapterGroup& group = pack.groups.back();
  for (std::size_t s = 0; s + 1 < pack.bounds.size(); ++s) {
    const std::int64_t begin = pack.bounds[s], end = pack.bounds[s + 1];
    if (begin < group.begin) continue;
    const double size = alpha / std::sqrt(static_cast<double>((end - begin) * width));
    for (std::int64_t row = begin; row < end; ++row)
      kernels::noise_row(group, row - group.begin, static_cast<float>(size), pack.noise.data() + row * width, width);
  }
}

// Of the last chunk.
void add_own_rows(PackData& pack, const PackTrial& trial) {
  const kernels::AdapterGroup& group = pack.groups.back();
  if (trial.saved.embed_tokens) pack.own_embeddings.push_back({group.begin, group.end, trial.slot});
  if (trial.saved.lm_head) pack.own_heads.push_back({pack.rows.back().first, pack.rows.back().second, trial.slot});
}

WeighedTrial weighed(const PackTrial& trial, const Batch& batch) {
  return {.beta = trial.beta,
          .gamma = trial.gamma,
          .examples = static_cast<double>(batch.examples.size()),
          .desirable = static_cast<double>(batch.desirable),
          .first_rows = static_cast<double>(batch.first_rows)};
}

}  // namespace

void Batch::add(const ExampleView& example) {
  examples.push_back(example);
  tokens += static_cast<std::int64_t>(example.ids.size());
  loss_tokens += example.loss_tokens();
  const auto first = example.loss.begin();
  const std::int64_t end = example.ends.empty() ? std::ssize(example.loss) : example.ends.front();
  first_rows += std::count(first, first + end, std::uint8_t{1});
  desirable += example.desirable ? 1 : 0;
}

std::vector<std::int64_t> Batch::lengths() const {
  std::vector<std::int64_t> lengths;
  for (const ExampleView& example : examples) lengths.push_back(std::ssize(example.ids));
  return lengths;
}

PackShape PackData::shape() const {
  return {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(loss_rows.size()),
          static_cast<std::int64_t>(bounds.size()) - 1, longest,
          noise.empty() ? 0 : std::ssize(noise) / std::ssize(ids)};
}

PackData build_pack_data(const Pass& pass, std::span<const PackTrial> trials, std::span<const Batch> batches,
                         std::int64_t fewest_rows, const PackModel& model) {
  PackData pack;
  for (const Chunk& chunk : pass.chunks) {
    const Batch& batch = batches[chunk.trial];
    const double scale = 1.0 / batch.divisor.value_or(static_cast<double>(batch.loss_tokens));
    const auto begin = static_cast<std::int64_t>(pack.ids.size());
    const auto first_row = static_cast<std::int64_t>(pack.loss_rows.size());
    pack.trials.push_back(weighed(trials[chunk.trial], batch));
    for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      const auto terms = batch.terms.empty() ? std::span<const TokenTerm>() : batch.terms[i];
      add_example(pack, batch.examples[i], scale, terms, model.angles);
    }
    pack.groups.push_back(group_of(trials[chunk.trial], begin, static_cast<std::int64_t>(pack.ids.size()),
                                   batch.token_base + chunk.token_base));
    add_noise(pack, trials[chunk.trial].neftune, model.width);
    pack.rows.emplace_back(first_row, static_cast<std::int64_t>(pack.loss_rows.size()));
    add_own_rows(pack, trials[chunk.trial]);
  }
  const auto missing = fewest_rows - static_cast<std::int64_t>(pack.ids.size());
  if (missing > 0) add_padding_segment(pack, missing);
  if (!pack.noise.empty()) pack.noise.resize(pack.ids.size() * static_cast<std::size_t>(model.width));
  pad_loss_rows(pack, fewest_rows);
  return pack;
}

std::vector<kernels::RowRange> row_ranges(const Pass& pass, const PackData& data, std::size_t first_trial) {
  std::vector<kernels::RowRange> ranges;
  for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
    ranges.push_back(
        {data.rows[c].first, data.rows[c].second, static_cast<std::int64_t>(first_trial + pass.chunks[c].trial)});
  }
  return ranges;
}

void set_divergences(const Pass& pass, std::span<const double> values, PackData& data) {
  for (std::size_t c = 0; c < pass.chunks.size(); ++c) data.trials[c].divergence = values[pass.chunks[c].trial];
}

PackShape bucket_of(const PackShape& shape, std::int64_t tokens_per_pass, const PackShape& run) {
  PackShape bucket{.noise = shape.noise};
  const std::int64_t size = std::min(power_of_two(shape.tokens), tokens_per_pass);
  bucket.tokens = up_to(shape.tokens, std::clamp<std::int64_t>(size / 8, 32, 512));
  bucket.loss_rows = std::min(bucket.tokens, up_to(shape.loss_rows, std::max<std::int64_t>(1, bucket.tokens / 16)));
  bucket.longest = power_of_two(std::max(shape.longest, run.longest));
  const std::int64_t padding = bucket.tokens - shape.tokens, longest = std::max<std::int64_t>(1, shape.longest);
  bucket.segments = std::max(run.segments, power_of_two(shape.segments + (padding + longest - 1) / longest));
  return bucket;
}

void pad_pack(PackData& pack, const PackShape& shape, std::size_t groups) {
  const std::int64_t longest = std::max<std::int64_t>(1, pack.longest);
  while (static_cast<std::int64_t>(pack.ids.size()) < shape.tokens) {
    add_padding_segment(pack, std::min(longest, shape.tokens - static_cast<std::int64_t>(pack.ids.size())));
  }
  while (static_cast<std::int64_t>(pack.bounds.size()) <= shape.segments) close_segment(pack);
  pad_loss_rows(pack, shape.loss_rows);
  pack.noise.resize(static_cast<std::size_t>(shape.tokens * shape.noise));
  pack.longest = shape.longest;
  if (pack.groups.size() < groups) pack.groups.resize(groups);
}

}  // namespace finetune
