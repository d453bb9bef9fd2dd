#include "data/example_block.h"

#include <algorithm>

namespace finetune {
namespace {

struct Columns {
  std::vector<std::uint64_t> ends, hashes, sequence_counts, answer_counts;
  std::vector<std::int64_t> lines, loss_bytes, sequence_ends, answers;
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> loss, undesirable;
};

void add(Columns& columns, const Example& example) {
  columns.ids.insert(columns.ids.end(), example.ids.begin(), example.ids.end());
  columns.loss.insert(columns.loss.end(), example.loss.begin(), example.loss.end());
  columns.loss.resize(columns.ids.size());
  columns.ends.push_back(columns.ids.size());
  columns.hashes.push_back(hash_of(example.ids));
  columns.lines.push_back(example.line);
  columns.loss_bytes.push_back(example.loss_bytes);
  columns.sequence_ends.insert(columns.sequence_ends.end(), example.ends.begin(), example.ends.end());
  columns.answers.insert(columns.answers.end(), example.answers.begin(), example.answers.end());
  columns.sequence_counts.push_back(columns.sequence_ends.size());
  columns.answer_counts.push_back(columns.answers.size());
  columns.undesirable.push_back(example.desirable ? 0 : 1);
}

void drop_what_nobody_has(Columns& columns) {
  if (columns.sequence_ends.empty()) columns.sequence_counts.clear();
  if (columns.answers.empty()) columns.answer_counts.clear();
  if (std::ranges::count(columns.undesirable, 1) == 0) columns.undesirable.clear();
}

template <typename T>
Slice<T> part_of(Slice<T> values, Slice<std::uint64_t> counts, std::size_t i) {
  if (counts.empty()) return {};
  const std::uint64_t begin = i == 0 ? 0 : counts[i - 1];
  return values.subspan(begin, counts[i] - begin);
}

void note_extremes(ExampleBlock& block) {
  block.longest = 0;
  for (std::size_t i = 0; i < block.size(); ++i) block.longest = std::max(block.longest, block.length(i));
  block.highest_id = -1;
  for (const std::int32_t id : block.ids) block.highest_id = std::max(block.highest_id, id);
}

// Never down, and to the end of what they point into; or none, where that is empty.
bool counts_up(Slice<std::uint64_t> counts, std::size_t examples, std::size_t values) {
  if (counts.empty()) return values == 0;
  return counts.size() == examples && std::ranges::is_sorted(counts) && counts.back() == values;
}

bool sequences_fit(const ExampleView& example) {
  std::int64_t begin = 0;
  const std::size_t sequences = std::max<std::size_t>(1, example.ends.size());
  if (!example.answers.empty() && example.answers.size() != sequences) return false;
  for (std::size_t s = 0; s < sequences; ++s) {
    const std::int64_t end = example.ends.empty() ? std::ssize(example.ids) : example.ends[s];
    if (end < begin || end > std::ssize(example.ids)) return false;
    if (!example.answers.empty() && (example.answers[s] < begin || example.answers[s] > end)) return false;
    begin = end;
  }
  return begin == std::ssize(example.ids);
}

bool all_sequences_fit(const ExampleBlock& block) {
  if (block.sequence_ends.empty() && block.answers.empty()) return true;
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (!sequences_fit(block[i])) return false;
  }
  return true;
}

}  // namespace

ExampleView ExampleBlock::operator[](std::size_t i) const {
  ExampleView view;
  const std::uint64_t first = begin(i), count = ends[i] - first;
  view.ids = ids.subspan(first, count);
  view.loss = loss.subspan(first, count);
  view.ends = part_of(sequence_ends, sequence_counts, i);
  view.answers = part_of(answers, answer_counts, i);
  view.desirable = undesirable.empty() || undesirable[i] == 0;
  view.loss_bytes = loss_bytes[i];
  view.file = file;
  view.line = lines[i];
  return view;
}

// FNV-1a, and a final mix: FNV's high bits are weak on short inputs (constants of MurmurHash3's finaliser).
std::uint64_t hash_of(std::span<const std::int32_t> ids) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const auto id : ids) {
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (static_cast<std::uint32_t>(id) >> shift & 0xff)) * 0x100000001b3ull;
  }
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
  return hash ^ hash >> 33;
}

std::shared_ptr<const ExampleBlock> make_block(std::span<const Example> examples) {
  const auto columns = std::make_shared<Columns>();
  for (const Example& example : examples) add(*columns, example);
  drop_what_nobody_has(*columns);
  const auto block = std::make_shared<ExampleBlock>();
  block->ends = columns->ends;
  block->hashes = columns->hashes;
  block->lines = columns->lines;
  block->loss_bytes = columns->loss_bytes;
  block->sequence_counts = columns->sequence_counts;
  block->answer_counts = columns->answer_counts;
  block->undesirable = columns->undesirable;
  block->sequence_ends = columns->sequence_ends;
  block->answers = columns->answers;
  block->ids = columns->ids;
  block->loss = columns->loss;
  block->file = examples.empty() ? 0 : examples.front().file;
  block->owner = columns;
  note_extremes(*block);
  return block;
}

bool settle(ExampleBlock& block, std::int64_t vocabulary) {
  const std::size_t size = block.size();
  const bool lengths = block.hashes.size() == size && block.lines.size() == size && block.loss_bytes.size() == size &&
                       block.loss.size() == block.ids.size() &&
                       (block.undesirable.empty() || block.undesirable.size() == size);
  if (!lengths || !counts_up(block.ends, size, block.ids.size()) ||
      !counts_up(block.sequence_counts, size, block.sequence_ends.size()) ||
      !counts_up(block.answer_counts, size, block.answers.size()) || !all_sequences_fit(block))
    return false;
  note_extremes(block);
  const bool negative = std::ranges::any_of(block.ids, [](std::int32_t id) { return id < 0; });
  const bool flags = std::ranges::all_of(block.loss, [](std::uint8_t flag) { return flag <= 1; });
  const bool places = std::ranges::all_of(block.lines, [](std::int64_t line) { return line > 0; });
  return !negative && flags && places && block.highest_id < vocabulary;
}

}  // namespace finetune
