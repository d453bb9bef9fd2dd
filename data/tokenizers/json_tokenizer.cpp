#include "data/tokenizers/json_tokenizer.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/strict_json.h"
#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/aligned_text.h"
#include "data/tokenizers/bpe.h"
#include "data/tokenizers/decoders.h"
#include "data/tokenizers/normalizers.h"
#include "data/tokenizers/pre_tokenizers.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kHighestId = 1 << 24;

// What the post-processor puts around a text, and whether spans lose their outer spaces.
struct PostProcessor {
  std::vector<std::int32_t> before, after;
  bool trims_spans = false, prefix_space = true;
};

const Json& member(const std::string& where, const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) throw bad_input(where, std::string(key) + " is missing");
  return json[key];
}

std::string optional_text(const std::string& where, const Json& json, const char* key) {
  if (!json.contains(key) || json[key].is_null()) return "";
  if (!json[key].is_string()) throw bad_input(where, std::string("model.") + key + " is not a string");
  return json[key].get<std::string>();
}

std::int32_t id_from(const std::string& where, const std::string& what, const Json& json) {
  if (!json.is_number_integer() || json.get<double>() < 0 || json.get<double>() > static_cast<double>(kHighestId)) {
    throw bad_input(where, what + " has the id " + json.dump().substr(0, 40) + "; 0 to " + std::to_string(kHighestId) +
                               " is possible");
  }
  return json.get<std::int32_t>();
}

std::pair<std::string, std::string> merge_from(const std::string& where, std::size_t index, const Json& json) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  }
  if (json.is_string()) {
    const auto text = json.get<std::string>();
    const auto space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  throw bad_input(where, "model.merges[" + std::to_string(index) + "] is not a pair of tokens");
}

std::unique_ptr<Bpe> make_bpe(const std::string& where, const Json& model, bool byte_level) {
  const std::string type = model.value("type", "BPE");
  if (type != "BPE") throw bad_input(where, "model type " + type + " is not supported; BPE is");
  const Json& vocabulary = member(where, model, "vocab");
  if (!vocabulary.is_object() || vocabulary.empty()) throw bad_input(where, "model.vocab is not a map of tokens");
  std::vector<std::pair<std::string, std::int32_t>> tokens;
  for (const auto& [token, id] : vocabulary.items())
    tokens.emplace_back(token, id_from(where, "model.vocab: token \"" + token + "\"", id));
  const Json& list = member(where, model, "merges");
  if (!list.is_array()) throw bad_input(where, "model.merges is not a list");
  std::vector<std::pair<std::string, std::string>> merges;
  for (std::size_t i = 0; i < list.size(); ++i) merges.push_back(merge_from(where, i, list[i]));
  if (model.contains("dropout") && model["dropout"].is_number() && model["dropout"].get<double>() > 0) {
    throw bad_input(where, "model.dropout is set; a tokenizer that draws lots cannot be reproduced");
  }
  BpeOptions options;
  if (const auto unk = optional_text(where, model, "unk_token"); !unk.empty()) options.unk_token = unk;
  options.fuse_unk = model.value("fuse_unk", false);
  options.byte_fallback = model.value("byte_fallback", false);
  options.ignore_merges = model.value("ignore_merges", false);
  options.continuing_prefix = optional_text(where, model, "continuing_subword_prefix");
  options.end_of_word_suffix = optional_text(where, model, "end_of_word_suffix");
  options.byte_level = byte_level;
  return std::make_unique<Bpe>(where, std::move(tokens), merges, options);
}

AddedToken added_token_from(const std::string& where, const Json& json) {
  if (!json.is_object() || !json.contains("content") || !json["content"].is_string())
    throw bad_input(where, "added_tokens holds an entry without content");
  AddedToken token;
  token.content = json["content"].get<std::string>();
  token.id = id_from(where, "added token \"" + token.content + "\"", member(where, json, "id"));
  token.single_word = json.value("single_word", false);
  token.lstrip = json.value("lstrip", false);
  token.rstrip = json.value("rstrip", false);
  token.special = json.value("special", false);
  token.normalized = json.value("normalized", !token.special);
  return token;
}

void read_template(const std::string& where, const Json& json, PostProcessor& post) {
  bool text_seen = false;
  for (const auto& part : member(where, json, "single")) {
    if (part.is_object() && part.contains("Sequence")) {
      text_seen = true;
    } else if (part.is_object() && part.contains("SpecialToken")) {
      const std::string name = member(where, part["SpecialToken"], "id").get<std::string>();
      for (const auto& id : member(where, member(where, member(where, json, "special_tokens"), name.c_str()), "ids")) {
        (text_seen ? post.after : post.before).push_back(id_from(where, "post_processor: token " + name, id));
      }
    } else {
      throw bad_input(where, "post_processor TemplateProcessing has a part that is neither a token nor the text");
    }
  }
}

void read_post_processor(const std::string& where, const Json& json, PostProcessor& post) {
  if (json.is_null()) return;
  const std::string type = json.is_object() ? json.value("type", "") : "";
  if (type == "Sequence") {
    for (const auto& part : member(where, json, "processors")) read_post_processor(where, part, post);
  } else if (type == "TemplateProcessing") {
    read_template(where, json, post);
  } else if (type == "ByteLevel") {
    post.trims_spans = json.value("trim_offsets", true);
    post.prefix_space = json.value("add_prefix_space", true);
  } else {
    throw bad_input(where, "post_processor " + (type.empty() ? "without a type" : type) + " is not supported");
  }
}

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(const std::string& where, const Json& json) {
    bool byte_level = false;
    const auto part = [&](const char* key) -> Json { return json.contains(key) ? json[key] : Json(); };
    normalizer_ = make_normalizer(where, part("normalizer"));
    pre_tokenizer_ = make_pre_tokenizer(where, part("pre_tokenizer"), byte_level);
    decoder_ = make_decoder(where, part("decoder"));
    read_post_processor(where, part("post_processor"), post_);
    bpe_ = make_bpe(where, member(where, json, "model"), byte_level);
    highest_id_ = bpe_->highest_id();
    if (json.contains("added_tokens")) read_added_tokens(where, json["added_tokens"]);
  }

  Encoding encode(std::string_view text, bool add_special) const override {
    Encoding out;
    if (add_special) add_special_tokens(post_.before, out);
    // Tokens that are matched as they stand come first, the rest of the text is normalised.
    for (const TextPart& part : raw_.split(text)) {
      const std::string_view piece = text.substr(part.begin, part.end - part.begin);
      if (part.id >= 0)
        put(part.id, {static_cast<std::uint32_t>(part.begin), static_cast<std::uint32_t>(part.end)}, out);
      else
        encode_piece(AlignedText(piece, static_cast<std::uint32_t>(part.begin)), out);
    }
    if (add_special) add_special_tokens(post_.after, out);
    return out;
  }

  std::string decode(std::span<const std::int32_t> ids) const override {
    std::vector<std::string> tokens;
    for (const auto id : ids) {
      const auto shown = shown_.find(id);
      std::string token = shown != shown_.end() ? shown->second : id_to_token(id);
      if (!token.empty()) tokens.push_back(std::move(token));
    }
    if (decoder_) decoder_->apply(tokens);
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) text += (i > 0 && !decoder_ ? " " : "") + tokens[i];
    return text;
  }

  std::int64_t vocab_size() const override { return highest_id_ + 1; }
  std::optional<std::int32_t> token_to_id(std::string_view token) const override {
    if (const auto found = added_ids_.find(std::string(token)); found != added_ids_.end()) return found->second;
    return bpe_->id_of(token);
  }
  std::string id_to_token(std::int32_t id) const override {
    if (const auto found = added_.find(id); found != added_.end()) return found->second;
    const std::string* token = bpe_->token_of(id);
    return token == nullptr ? "" : *token;
  }

 private:
  void read_added_tokens(const std::string& where, const Json& list) {
    if (!list.is_array()) throw bad_input(where, "added_tokens is not a list");
    for (const auto& json : list) {
      AddedToken token = added_token_from(where, json);
      if (const auto [place, fresh] = added_.emplace(token.id, token.content);
          !fresh && place->second != token.content) {
        throw bad_input(where, "added_tokens gives id " + std::to_string(token.id) + " to two tokens");
      }
      added_ids_[token.content] = token.id;
      highest_id_ = std::max(highest_id_, token.id);
      if (!token.normalized) {
        raw_.add(token, token.content);
        continue;
      }
      AlignedText content(token.content, 0);
      if (normalizer_) normalizer_->apply(content);
      normalised_.add(token, content.text());
      shown_[token.id] = content.text();
    }
  }

  void encode_piece(AlignedText text, Encoding& out) const {
    if (normalizer_) normalizer_->apply(text);
    if (normalised_.empty()) return encode_words(std::move(text), out);
    for (const TextPart& part : normalised_.split(text.text())) {
      if (part.id >= 0)
        put(part.id, text.span(part.begin, part.end), out);
      else
        encode_words(text.slice(part.begin, part.end), out);
    }
  }

  void encode_words(AlignedText text, Encoding& out) const {
    Words words{std::move(text), {}};
    words.ranges.emplace_back(0, words.text.size());
    if (pre_tokenizer_) pre_tokenizer_->apply(words);
    std::vector<BpePiece> pieces;
    for (const auto& [begin, word_end] : words.ranges) {
      pieces.clear();
      bpe_->encode(words.word(begin, word_end), pieces);
      std::size_t at = begin;
      for (const BpePiece& piece : pieces) {
        const std::size_t end = std::min(at + piece.bytes, word_end);
        const bool first = out.ids.empty();
        put(piece.id, post_.trims_spans ? trimmed(words.text, at, end, first) : words.text.span(at, end), out);
        at = end;
      }
    }
  }

  // trim_offsets: outer spaces of a token are not part of its span. A space counts with the length of what it stands
  // for: one that was put in front stands for the whole first character.
  Span trimmed(const AlignedText& text, std::size_t begin, std::size_t end, bool first) const {
    Span span = text.span(begin, end);
    std::size_t leading = begin, trailing = end;
    while (leading < end && text.text()[leading] == ' ') ++leading;
    while (trailing > begin && text.text()[trailing - 1] == ' ') --trailing;
    if (leading > begin && (first || span.first == 0) && post_.prefix_space) --leading;
    const auto length = [&](std::size_t i) { return text.span_at(i).second - text.span_at(i).first; };
    for (std::size_t i = begin; i < leading; ++i) span.first = std::min(span.first + length(i), span.second);
    for (std::size_t i = end; i > trailing; --i) {
      span.second -= std::min(length(i - 1), span.second - span.first);
    }
    return span;
  }

  static void put(std::int32_t id, Span span, Encoding& out) {
    out.ids.push_back(id);
    out.spans.push_back(span);
    out.added.push_back(0);
  }
  static void add_special_tokens(const std::vector<std::int32_t>& ids, Encoding& out) {
    for (const auto id : ids) {
      put(id, {0, 0}, out);
      out.added.back() = 1;
    }
  }

  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Bpe> bpe_;
  PostProcessor post_;
  AddedTokenMatcher raw_, normalised_;
  std::map<std::int32_t, std::string> added_;
  std::map<std::int32_t, std::string> shown_;  // normalised content, which the library's decode starts from
  std::map<std::string, std::int32_t> added_ids_;
  std::int32_t highest_id_ = -1;
};

}  // namespace

std::unique_ptr<Tokenizer> parse_json_tokenizer(const std::string& where, const std::string& text) {
  const Json json = parse_strict_json(where, text, 64);
  try {
    return std::make_unique<JsonTokenizer>(where, json);
  } catch (const nlohmann::json::exception& error) {  // a value of the wrong type somewhere
    const std::string why = error.what();
    throw bad_input(where, "has a value of the wrong type: " + why.substr(why.find(']') + 2));
  }
}

}  // namespace finetune
