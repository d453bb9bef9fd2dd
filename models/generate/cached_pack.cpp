#include "models/generate/cached_pack.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace finetune {
namespace {

// The arrays of the pass on the host.
struct Arrays {
  std::vector<std::int64_t> ids, loss_rows, targets;
  std::vector<std::int32_t> positions, bounds{0}, places, sequences, seen, tables;
  std::vector<float> scales;
  std::vector<ops::AdapterGroup> groups;
  std::vector<OwnRows> own_embeddings, own_heads;
  std::int64_t table_row = 1, longest_segment = 1;
  std::int64_t grouped_rows = 0;  // loss rows of the groups so far
};

void add_token(Arrays& a, std::int32_t id, std::int64_t position, std::int64_t angle, std::int32_t place,
               std::int64_t sequence) {
  a.ids.push_back(id);
  a.positions.push_back(static_cast<std::int32_t>(angle));
  a.places.push_back(place);
  a.sequences.push_back(static_cast<std::int32_t>(sequence));
  a.seen.push_back(static_cast<std::int32_t>(position + 1));
}

void end_segment(Arrays& a) {
  const auto end = static_cast<std::int32_t>(a.ids.size());
  a.longest_segment = std::max<std::int64_t>(a.longest_segment, end - a.bounds.back());
  a.bounds.push_back(end);
}

std::int64_t loss_rows_of(const NewTokens& s) {
  return std::max<std::int64_t>(1, s.targets);
}

void add_loss_rows(Arrays& a, const NewTokens& s) {
  const auto end = static_cast<std::int64_t>(a.ids.size());
  for (std::int64_t i = loss_rows_of(s); i > 0; --i) {
    a.loss_rows.push_back(end - i);
    a.targets.push_back(s.targets > 0 ? s.next[static_cast<std::size_t>(s.targets - i)] : 0);
    a.scales.push_back(1);
  }
}

void add_sequence(Arrays& a, const NewTokens& s, std::int64_t index) {
  for (std::size_t i = 0; i < s.ids.size(); ++i) {
    const std::int64_t position = s.before + static_cast<std::int64_t>(i);
    const std::int32_t block = s.blocks[static_cast<std::size_t>(position / ops::kCacheBlock)];
    add_token(a, s.ids[i], position, s.first_angle + position,
              static_cast<std::int32_t>(block * ops::kCacheBlock + position % ops::kCacheBlock), index);
  }
  end_segment(a);
  std::copy(s.blocks.begin(), s.blocks.end(), a.tables.begin() + index * a.table_row);
  add_loss_rows(a, s);
}

// The last row of tables is block 0 throughout: padding sees itself there.
void pad(Arrays& a, std::int64_t sequences, std::int64_t fewest_rows) {
  const bool short_of_tokens = static_cast<std::int64_t>(a.ids.size()) < fewest_rows;
  while (static_cast<std::int64_t>(a.ids.size()) < fewest_rows) add_token(a, 0, 0, 0, 0, sequences);
  if (short_of_tokens) end_segment(a);
  while (static_cast<std::int64_t>(a.loss_rows.size()) < fewest_rows) {
    a.loss_rows.push_back(0);
    a.targets.push_back(0);
    a.scales.push_back(0);
  }
}

// `tokens`: those of the sequences, which are an adapter's next in order.
void add_own_rows(Arrays& a, std::span<const NewTokens> sequences, const AdapterChoice& adapter,
                  const OwnRows& tokens) {
  const std::int64_t begin = a.grouped_rows;
  for (const NewTokens& s : sequences) a.grouped_rows += loss_rows_of(s);
  if (adapter.saved.embed_tokens) a.own_embeddings.push_back(tokens);
  if (adapter.saved.lm_head) a.own_heads.push_back({begin, a.grouped_rows, adapter.slot});
}

void add_groups(Arrays& a, std::span<const NewTokens> sequences, std::span<const AdapterChoice> adapters) {
  for (std::size_t first = 0; first < sequences.size();) {
    std::size_t last = first;
    while (last < sequences.size() && sequences[last].trial == sequences[first].trial) ++last;
    const AdapterChoice& adapter = adapters[sequences[first].trial];
    if (!adapter.targets.empty()) {
      ops::AdapterGroup group;
      group.begin = a.bounds[first];
      group.end = a.bounds[last];
      group.slot = adapter.slot;
      group.rank = static_cast<std::int32_t>(adapter.rank);
      group.projections = adapter.targets.bits();
      group.scale = adapter.scale;
      group.magnitudes = adapter.dora;
      a.groups.push_back(group);
    }
    add_own_rows(a, sequences.subspan(first, last - first), adapter, {a.bounds[first], a.bounds[last], adapter.slot});
    first = last;
  }
}

Arrays arrays_of(std::span<const NewTokens> sequences, std::span<const AdapterChoice> adapters, std::int64_t fewest) {
  Arrays a;
  for (const NewTokens& s : sequences) a.table_row = std::max(a.table_row, static_cast<std::int64_t>(s.blocks.size()));
  a.tables.resize((sequences.size() + 1) * static_cast<std::size_t>(a.table_row));
  for (std::size_t i = 0; i < sequences.size(); ++i) add_sequence(a, sequences[i], static_cast<std::int64_t>(i));
  add_groups(a, sequences, adapters);
  pad(a, static_cast<std::int64_t>(sequences.size()), fewest);
  return a;
}

template <typename T>
at::Tensor tensor_of(const std::vector<T>& values, at::Device device) {
  return at::tensor(at::ArrayRef<T>(values), c10::CppTypeToScalarType<T>::value).to(device);
}

}  // namespace

void build_cached_pack(std::span<const NewTokens> sequences, std::span<const AdapterChoice> adapters,
                       const KvCache& cache, at::Device device, CachedPack& built) {
  const auto goes_on = [](const NewTokens& s) { return s.ids.size() == 1 && s.before > 0 && s.targets == 0; };
  const bool by_row = std::all_of(sequences.begin(), sequences.end(), goes_on);
  Arrays a = arrays_of(sequences, adapters, by_row ? 0 : ops::fewest_product_rows(device));
  built.cached.cache = &cache;
  built.cached.by_row = by_row;
  // Not where something is scored: a continuation of a short prompt is computed as those of long ones beside it.
  const auto begins = [](const NewTokens& s) { return s.before == 0 && s.targets == 0; };
  built.cached.fresh = std::all_of(sequences.begin(), sequences.end(), begins);
  built.cached.rows = {.places_T = tensor_of(a.places, device),
                       .tables_SB = tensor_of(a.tables, device).view({-1, a.table_row}),
                       .sequences_T = tensor_of(a.sequences, device),
                       .seen_T = tensor_of(a.seen, device),
                       .seen = std::move(a.seen)};
  Pack& pack = built.pack;
  pack.tokens = static_cast<std::int64_t>(a.ids.size());
  pack.ids_T = tensor_of(a.ids, device);
  pack.positions_T = tensor_of(a.positions, device);
  pack.segments = ops::make_segments(std::move(a.bounds), a.longest_segment, device);
  pack.loss_rows_N = tensor_of(a.loss_rows, device);
  pack.targets_N = tensor_of(a.targets, device);
  pack.scale_N = tensor_of(a.scales, device);
  pack.groups = ops::adapter_groups_on(std::move(a.groups), device);
  pack.own_embeddings = std::move(a.own_embeddings);
  pack.own_heads = std::move(a.own_heads);
  pack.cached = &built.cached;
}

}  // namespace finetune
