#include "data/tokenizers/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <map>

#include "core/error.h"

namespace finetune {
namespace {

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& where, const std::string& bytes, const SentencePieceOptions& options)
      : options_(options) {
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) throw bad_input(where, std::string("is not a sentencepiece model: ") + status.message());
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
    const sentencepiece::ImmutableSentencePieceText encoded = processor_.EncodeAsImmutableProto(text);
    for (const auto& piece : encoded.pieces()) {
      put(static_cast<std::int32_t>(piece.id()), {piece.begin() + offset, piece.end() + offset}, false, out);
    }
  }
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
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& where, const std::string& bytes,
                                                        const SentencePieceOptions& options) {
  return std::make_unique<SentencePieceTokenizer>(where, bytes, options);
}

}  // namespace finetune
