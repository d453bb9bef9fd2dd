#include "data/tokenizers/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "core/error.h"
#include "data/tokenizers/sentencepiece_cuts.h"
#include "data/tokenizers/word_cache.h"

namespace finetune {
namespace {

using Encoded = sentencepiece::ImmutableSentencePieceText;

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& where, const std::string& bytes, const SentencePieceOptions& options)
      : options_(options) {
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) throw bad_input(where, std::string("is not a sentencepiece model: ") + status.message());
    cuts_ = cuts_at_spaces(bytes);
    vocab_size_ = processor_.GetPieceSize();
    for (const auto& token : options_.added) {
      // A token that sentencepiece knows as an ordinary piece stays its business.
      if (token.id < processor_.GetPieceSize() && !processor_.IsControl(token.id) && !processor_.IsUnknown(token.id))
        continue;
      matcher_.add(token, token.content);
      added_.emplace(token.id, token.content);
      vocab_size_ = std::max<std::int64_t>(vocab_size_, token.id + 1);
    }
    if (processor_.bos_id() >= 0) bos_id = processor_.bos_id();
    if (processor_.eos_id() >= 0) eos_id = processor_.eos_id();
    if (processor_.pad_id() >= 0) pad_id = processor_.pad_id();
  }

  Encoding encode(std::string_view text, bool add_special) const override {
    Encoding out;
    if (add_special && options_.add_bos && bos_id) put(*bos_id, {0, 0}, true, out);
    for (const TextPart& part : matcher_.split(text)) {
      if (part.id >= 0)
        put(part.id, {static_cast<std::uint32_t>(part.begin), static_cast<std::uint32_t>(part.end)}, false, out);
      else
        encode_piece(text.substr(part.begin, part.end - part.begin), static_cast<std::uint32_t>(part.begin), out);
    }
    if (add_special && options_.add_eos && eos_id) put(*eos_id, {0, 0}, true, out);
    return out;
  }

  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    std::vector<int> run;
    const auto flush = [&] {
      text += processor_.DecodeIds(run);
      run.clear();
    };
    for (const auto id : ids) {
      const auto found = added_.find(id);
      if (id < processor_.GetPieceSize()) {
        run.push_back(id);
      } else if (found != added_.end()) {
        flush();
        text += found->second;
      }
    }
    flush();
    return text;
  }

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> token_to_id(std::string_view token) const override {
    for (const auto& [id, content] : added_) {
      if (content == token) return id;
    }
    const int id = processor_.PieceToId(token);
    if (processor_.IsUnknown(id) && processor_.IdToPiece(id) != token) return std::nullopt;
    return id;
  }
  std::string id_to_token(std::int32_t id) const override {
    if (const auto found = added_.find(id); found != added_.end()) return found->second;
    return id >= 0 && id < processor_.GetPieceSize() ? processor_.IdToPiece(id) : "";
  }

 private:
  void encode_piece(std::string_view text, std::uint32_t offset, Encoding& out) const {
    if (!cuts_) return put_all(encode_text(text), 0, offset, out);
    const std::vector<std::size_t> begins = part_begins(text);
    for (std::size_t k = 0; k < begins.size(); ++k) {
      const std::size_t end = k + 1 < begins.size() ? begins[k + 1] - 1 : text.size();
      // The "▁" in front of a part stands for the space before it, save the first part's, which stands for nothing.
      const std::uint32_t space = k > 0 ? 1 : 0;
      encode_part(text.substr(begins[k], end - begins[k]), space, offset + static_cast<std::uint32_t>(begins[k]), out);
    }
  }

  // `offset`: of the part's first byte; its first piece begins `space` bytes earlier.
  void encode_part(std::string_view part, std::uint32_t space, std::uint32_t offset, Encoding& out) const {
    if (part.empty() || part.size() > WordCache::kLongest) return put_all(encode_text(part), space, offset, out);
    {
      const std::shared_lock lock(words_mutex_);
      if (const auto found = words_.find(part)) return put_remembered(*found, space, offset, out);
    }
    const auto encoded = encode_text(part);
    put_all(encoded, space, offset, out);
    const std::unique_lock lock(words_mutex_);
    if (words_.size() < WordCache::kMost) remember(part, encoded);
  }

  static void put_all(const Encoded& encoded, std::uint32_t space, std::uint32_t offset, Encoding& out) {
    for (const auto& piece : encoded.pieces()) {
      const std::uint32_t begin = piece.begin() + offset - std::exchange(space, 0);
      put(static_cast<std::int32_t>(piece.id()), {begin, piece.end() + offset}, false, out);
    }
  }

  static void put_remembered(std::span<const BpePiece> pieces, std::uint32_t space, std::uint32_t offset,
                             Encoding& out) {
    std::uint32_t begin = offset;
    for (const BpePiece& piece : pieces) {
      put(piece.id, {begin - std::exchange(space, 0), begin + piece.bytes}, false, out);
      begin += piece.bytes;
    }
  }

  // Pieces that lie end to end over the part: the library leaves spaces out of some.
  void remember(std::string_view part, const Encoded& encoded) const {
    std::vector<BpePiece> pieces;
    std::uint32_t at = 0;
    for (const auto& piece : encoded.pieces()) {
      if (piece.begin() != at) return;
      pieces.push_back({static_cast<std::int32_t>(piece.id()), piece.end() - at});
      at = piece.end();
    }
    if (at == part.size() && pieces.size() <= WordCache::kMostPieces) words_.add(part, pieces);
  }

  Encoded encode_text(std::string_view text) const { return processor_.EncodeAsImmutableProto(text); }

  static void put(std::int32_t id, std::pair<std::uint32_t, std::uint32_t> span, bool added, Encoding& out) {
    out.ids.push_back(id);
    out.spans.push_back(span);
    out.added.push_back(added ? 1 : 0);
  }

  SentencePieceOptions options_;
  sentencepiece::SentencePieceProcessor processor_;
  AddedTokenMatcher matcher_;
  std::map<std::int32_t, std::string> added_;
  std::int64_t vocab_size_ = 0;
  bool cuts_ = false;
  mutable std::shared_mutex words_mutex_;
  mutable WordCache words_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& where, const std::string& bytes,
                                                        const SentencePieceOptions& options) {
  return std::make_unique<SentencePieceTokenizer>(where, bytes, options);
}

}  // namespace finetune
