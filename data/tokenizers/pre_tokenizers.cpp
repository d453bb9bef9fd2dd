#include "data/tokenizers/pre_tokenizers.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/tokenizers/pattern.h"

namespace finetune {
namespace {

constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// \w as Rust's regex crate has it (Unicode TR 18, annex C); PCRE2's own leaves out marks and most connectors.
constexpr const char* kWords =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}\s]+)";
constexpr const char* kMetaspace = "\xE2\x96\x81";

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

struct Piece {
  std::size_t begin, end;
  bool match;
};

// Matches and what lies between them, in order.
std::vector<Piece> all_pieces(Pattern::Search& search, std::string_view text, bool invert) {
  std::vector<Piece> pieces;
  std::size_t done = 0;
  for (const auto& [begin, end] : search.find_all(text)) {
    if (begin > done) pieces.push_back({done, begin, invert});
    pieces.push_back({begin, end, !invert});
    done = end;
  }
  if (done < text.size()) pieces.push_back({done, text.size(), invert});
  return pieces;
}

// The reference library's NormalizedString::split.
std::vector<Piece> merge_pieces(std::vector<Piece> pieces, Behavior behavior) {
  std::vector<Piece> out;
  switch (behavior) {
    case Behavior::isolated:
      return pieces;
    case Behavior::removed:
      for (const auto& piece : pieces) {
        if (!piece.match) out.push_back(piece);
      }
      return out;
    case Behavior::contiguous:
      for (const auto& piece : pieces) {
        if (!out.empty() && out.back().match == piece.match)
          out.back().end = piece.end;
        else
          out.push_back(piece);
      }
      return out;
    case Behavior::merged_with_previous: {
      bool previous_match = false;
      for (const auto& piece : pieces) {
        if (piece.match && !previous_match && !out.empty())
          out.back().end = piece.end;
        else
          out.push_back(piece);
        previous_match = piece.match;
      }
      return out;
    }
    case Behavior::merged_with_next: {
      bool previous_match = false;
      for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
        if (piece->match && !previous_match && !out.empty())
          out.back().begin = piece->begin;
        else
          out.push_back(*piece);
        previous_match = piece->match;
      }
      return {out.rbegin(), out.rend()};
    }
  }
  return out;
}

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Words& words) const override {
    Pattern::Search search(pattern_);
    std::vector<std::pair<std::size_t, std::size_t>> out;
    for (const auto& [begin, end] : words.ranges) {
      for (const auto& piece : merge_pieces(all_pieces(search, words.word(begin, end), invert_), behavior_)) {
        if (piece.end > piece.begin) out.emplace_back(begin + piece.begin, begin + piece.end);
      }
    }
    words.ranges = std::move(out);
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class PreTokenizerChain : public PreTokenizer {
 public:
  explicit PreTokenizerChain(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  void apply(Words& words) const override {
    for (const auto& part : parts_) part->apply(words);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::unique_ptr<PreTokenizer> split)
      : add_prefix_space_(add_prefix_space), split_(std::move(split)) {}
  void apply(Words& words) const override {
    if (add_prefix_space_) put_spaces_in_front(words);
    if (split_) split_->apply(words);
  }

 private:
  static void put_spaces_in_front(Words& words) {
    Words out;
    for (const auto& [begin, end] : words.ranges) {
      const std::size_t start = out.text.size();
      if (begin < end && words.text.text()[begin] != ' ') out.text.append(" ", words.text.span_at(begin));
      out.text.append(words.text, begin, end);
      out.ranges.emplace_back(start, out.text.size());
    }
    words = std::move(out);
  }

  bool add_prefix_space_;
  std::unique_ptr<PreTokenizer> split_;
};

enum class PrependScheme { always, first, never };

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)),
        scheme_(scheme),
        split_(split ? std::make_unique<Split>(Pattern::literal(replacement_), Behavior::merged_with_next, false)
                     : nullptr) {}
  void apply(Words& words) const override {
    Words out;
    for (const auto& [begin, end] : words.ranges) {
      const std::size_t start = out.text.size();
      if (wants_prefix(words, begin, end)) out.text.append(replacement_, words.text.span_at(begin));
      replace_spaces(words, begin, end, out.text);
      out.ranges.emplace_back(start, out.text.size());
    }
    words = std::move(out);
    if (split_) split_->apply(words);
  }

 private:
  bool wants_prefix(const Words& words, std::size_t begin, std::size_t end) const {
    const std::string_view word = words.word(begin, end);
    if (word.empty() || word.starts_with(' ') || word.starts_with(replacement_)) return false;
    return scheme_ == PrependScheme::always ||
           (scheme_ == PrependScheme::first && words.text.span_at(begin).first == 0);
  }
  void replace_spaces(const Words& words, std::size_t begin, std::size_t end, AlignedText& out) const {
    while (begin < end) {
      const std::size_t plain = words.word(begin, end).find(' ');
      const std::size_t space = plain == std::string_view::npos ? end : begin + plain;
      out.append(words.text, begin, space);
      if (space < end) out.append(replacement_, words.text.span_at(space));
      begin = space + 1;
    }
  }

  std::string replacement_;
  PrependScheme scheme_;
  std::unique_ptr<PreTokenizer> split_;
};

Behavior behavior_from(const std::string& where, const std::string& name) {
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  throw bad_input(where, "pre_tokenizer behavior " + name + " is not known");
}

std::unique_ptr<PreTokenizer> split_at(const std::string& where, const char* pattern, Behavior behavior) {
  return std::make_unique<Split>(Pattern::regex(where, pattern), behavior, false);
}

std::unique_ptr<PreTokenizer> make_metaspace(const std::string& where, const nlohmann::ordered_json& json) {
  PrependScheme scheme = json.value("add_prefix_space", true) ? PrependScheme::always : PrependScheme::never;
  if (json.contains("prepend_scheme")) {
    const std::string name = json.value("prepend_scheme", "");
    if (name == "always")
      scheme = PrependScheme::always;
    else if (name == "first")
      scheme = PrependScheme::first;
    else if (name == "never")
      scheme = PrependScheme::never;
    else
      throw bad_input(where, "pre_tokenizer Metaspace: prepend_scheme " + name + " is not known");
  }
  return std::make_unique<Metaspace>(json.value("replacement", kMetaspace), scheme, json.value("split", true));
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const std::string& where, const nlohmann::ordered_json& json,
                                                 bool& byte_level) {
  if (json.is_null()) return nullptr;
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string())
    throw bad_input(where, "pre_tokenizer has no type");
  const std::string type = json["type"].get<std::string>();
  if (type == "Sequence") {
    if (!json.contains("pretokenizers") || !json["pretokenizers"].is_array())
      throw bad_input(where, "pre_tokenizer Sequence has no list");
    std::vector<std::unique_ptr<PreTokenizer>> parts;
    for (const auto& part : json["pretokenizers"]) {
      if (auto made = make_pre_tokenizer(where, part, byte_level)) parts.push_back(std::move(made));
    }
    return std::make_unique<PreTokenizerChain>(std::move(parts));
  }
  if (type == "Split") {
    if (!json.contains("pattern")) throw bad_input(where, "pre_tokenizer Split has no pattern");
    return std::make_unique<Split>(Pattern::from_json(where, json["pattern"]),
                                   behavior_from(where, json.value("behavior", "Isolated")),
                                   json.value("invert", false));
  }
  if (type == "ByteLevel") {
    byte_level = true;
    return std::make_unique<ByteLevel>(
        json.value("add_prefix_space", true),
        json.value("use_regex", true) ? split_at(where, kGpt2Pattern, Behavior::isolated) : nullptr);
  }
  if (type == "Metaspace") return make_metaspace(where, json);
  if (type == "Digits")
    return split_at(where, json.value("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)", Behavior::isolated);
  if (type == "Punctuation")
    return split_at(where, R"([\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E]|\p{P})",
                    behavior_from(where, json.value("behavior", "Isolated")));
  if (type == "Whitespace") return std::make_unique<Split>(Pattern::regex(where, kWords), Behavior::removed, true);
  if (type == "WhitespaceSplit") return split_at(where, R"(\s+)", Behavior::removed);
  throw bad_input(where, "pre_tokenizer " + type + " is not supported");
}

}  // namespace finetune
