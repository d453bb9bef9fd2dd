#include "data/tokenizers/bpe.h"

#include <algorithm>
#include <queue>

#include "core/error.h"
#include "data/tokenizers/aligned_text.h"
#include "data/tokenizers/byte_level.h"

namespace finetune {
namespace {

// Longer words are cut first: in plain text a word of a language is seldom longer.
constexpr std::size_t kLongestUncut = 16;

std::string byte_token(int byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">";
}

}  // namespace

// A linked list inside a vector: merged symbols give their bytes to the left one and drop out.
struct Bpe::Symbol {
  std::int32_t id;
  std::uint32_t bytes;
  std::int32_t previous, next;
};

Bpe::Bpe(const std::string& where, std::vector<std::pair<std::string, std::int32_t>> vocabulary,
         const std::vector<std::pair<std::string, std::string>>& merges, BpeOptions options)
    : options_(std::move(options)) {
  for (auto& [token, id] : vocabulary) {
    highest_id_ = std::max(highest_id_, id);
    tokens_.emplace(id, token);
    const auto bytes = options_.byte_level ? bytes_of_token(token) : std::optional<std::string>(token);
    if (bytes) ids_.emplace(*bytes, id);
    stored_ids_.emplace(std::move(token), id);
  }
  read_merges(where, merges);
  for (int byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = options_.byte_fallback ? id_of(byte_token(byte)).value_or(-1) : -1;
  if (options_.unk_token) {
    const auto id = id_of(*options_.unk_token);
    if (!id) throw bad_input(where, "model.unk_token \"" + *options_.unk_token + "\" is not in the vocabulary");
    unk_id_ = *id;
  }
  find_cuts();
}

void Bpe::read_merges(const std::string& where, const std::vector<std::pair<std::string, std::string>>& merges) {
  std::int32_t rank = 0;
  const std::size_t prefix = options_.continuing_prefix.size();
  for (const auto& [left, right] : merges) {
    const auto l = id_of(left), r = id_of(right);
    if (!l || !r)
      throw bad_input(
          where, "model.merges[" + std::to_string(rank) + "]: \"" + (l ? right : left) + "\" is not in the vocabulary");
    const std::string joined =
        left + (prefix > 0 && right.starts_with(options_.continuing_prefix) ? right.substr(prefix) : right);
    const auto id = id_of(joined);
    if (!id)
      throw bad_input(where, "model.merges[" + std::to_string(rank) + "]: \"" + joined + "\" is not in the vocabulary");
    ranks_.set(*l, *r, rank++);
    merges_.push_back({*l, *r, *id});
  }
}

// Only where a word's pieces spell the word: a character that is dropped brings its neighbours together, and a merge of
// the tokens that stand for unknown characters makes tokens that are not in the text. A word that is looked up whole
// must stay whole, and with affixes a character is another token inside a word than at its ends.
void Bpe::find_cuts() {
  const auto stands_for_unknown = [&](std::int32_t id) {
    return id == unk_id_ || std::find(std::begin(byte_ids_), std::end(byte_ids_), id) != std::end(byte_ids_);
  };
  const bool affixes = !options_.continuing_prefix.empty() || !options_.end_of_word_suffix.empty();
  if (options_.byte_level || options_.ignore_merges || affixes || unk_id_ < 0) return;
  for (const Merge& merge : merges_) {
    if (stands_for_unknown(merge.left) || stands_for_unknown(merge.right)) return;
  }
  std::vector<std::string_view> tokens;
  for (const auto& [token, id] : ids_) tokens.emplace_back(token);
  cuts_ = SafeCuts(std::move(tokens));
}

std::optional<std::int32_t> Bpe::id_of(std::string_view token) const {
  const auto found = stored_ids_.find(token);
  if (found == stored_ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* Bpe::token_of(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view word, std::vector<BpePiece>& pieces) const {
  if (word.size() <= kLongestUncut || cuts_.empty()) return encode_part(word, pieces);
  std::size_t begin = 0;
  for (const std::size_t end : cuts_.part_ends(word)) {
    encode_part(word.substr(begin, end - begin), pieces);
    begin = end;
  }
}

void Bpe::encode_part(std::string_view part, std::vector<BpePiece>& pieces) const {
  if (part.empty()) return;
  if (part.size() > WordCache::kLongest) return encode_uncached(part, pieces);
  {
    const std::shared_lock lock(cache_mutex_);
    if (const auto found = cache_.find(part)) {
      pieces.insert(pieces.end(), found->begin(), found->end());
      return;
    }
  }
  const std::size_t first = pieces.size();
  encode_uncached(part, pieces);
  const std::unique_lock lock(cache_mutex_);
  if (cache_.size() < WordCache::kMost) cache_.add(part, std::span(pieces).subspan(first));
}

void Bpe::encode_uncached(std::string_view word, std::vector<BpePiece>& pieces) const {
  if (options_.ignore_merges) {
    if (const auto found = ids_.find(word); found != ids_.end()) {
      pieces.push_back({found->second, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  std::vector<Symbol> symbols = split(word);
  if (symbols.empty()) return;
  merge_all(symbols);
  for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
    pieces.push_back({symbol.id, symbol.bytes});
  }
}

// One symbol per byte (byte level) or per character; unknown characters by bytes or as the unknown token.
std::vector<Bpe::Symbol> Bpe::split(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t length = options_.byte_level ? 1 : std::min(utf8_length(word[i]), word.size() - i);
    const std::string_view character = word.substr(i, length);
    const bool first = i == 0, last = i + length == word.size();
    i += length;
    auto found = ids_.end();
    if ((first || options_.continuing_prefix.empty()) && (!last || options_.end_of_word_suffix.empty())) {
      found = ids_.find(character);
    } else {
      found = ids_.find((first ? "" : options_.continuing_prefix) + std::string(character) +
                        (last ? options_.end_of_word_suffix : ""));
    }
    if (found != ids_.end())
      symbols.push_back({found->second, static_cast<std::uint32_t>(length), 0, 0});
    else
      add_unknown(character, symbols);
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<std::int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : -1;
  }
  return symbols;
}

void Bpe::add_unknown(std::string_view character, std::vector<Symbol>& symbols) const {
  const auto covered = static_cast<std::uint32_t>(character.size());
  const bool all_bytes = options_.byte_fallback && std::all_of(character.begin(), character.end(), [&](char c) {
                           return byte_ids_[static_cast<unsigned char>(c)] >= 0;
                         });
  if (all_bytes) {
    // All the character's bytes stand for the whole character: the first takes its length, the caller widens the rest.
    for (const char c : character) symbols.push_back({byte_ids_[static_cast<unsigned char>(c)], 1, 0, 0});
    return;
  }
  if (unk_id_ < 0) {
    if (!symbols.empty())
      symbols.back().bytes += covered;  // dropped, as the library does; the bytes stay accounted for
    return;
  }
  if (options_.fuse_unk && !symbols.empty() && symbols.back().id == unk_id_)
    symbols.back().bytes += covered;
  else
    symbols.push_back({unk_id_, covered, 0, 0});
}

// Lowest rank first, leftmost on ties; a heap keeps long words at O(n log n).
void Bpe::merge_all(std::vector<Symbol>& symbols) const {
  using Candidate = std::uint64_t;  // rank above position, so that the order of numbers is the order of merges
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(storage));
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto offer = [&](std::int32_t position) {
    if (position < 0 || at(position).next < 0) return;
    const std::int32_t rank = ranks_.find(at(position).id, at(at(position).next).id);
    if (rank >= 0) queue.push(static_cast<Candidate>(rank) << 32 | static_cast<std::uint32_t>(position));
  };
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols.size()); ++i) offer(i);
  while (!queue.empty()) {
    const Merge& merge = merges_[queue.top() >> 32];
    const auto position = static_cast<std::int32_t>(queue.top() & 0xFFFFFFFF);
    queue.pop();
    Symbol& left = at(position);
    // Stale when another merge took one of the two since.
    if (left.bytes == 0 || left.id != merge.left || left.next < 0 || at(left.next).id != merge.right) continue;
    Symbol& right = at(left.next);
    left.id = merge.joined;
    left.bytes += right.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (left.next >= 0) at(left.next).previous = position;
    offer(left.previous);
    offer(position);
  }
}

}  // namespace finetune
