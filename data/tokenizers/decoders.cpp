#include "data/tokenizers/decoders.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "data/tokenizers/aligned_text.h"
#include "data/tokenizers/byte_level.h"
#include "data/tokenizers/pattern.h"

namespace finetune {
namespace {

using Tokens = std::vector<std::string>;

class DecoderChain : public Decoder {
 public:
  explicit DecoderChain(std::vector<std::unique_ptr<Decoder>> parts) : parts_(std::move(parts)) {}
  void apply(Tokens& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

class ByteLevel : public Decoder {
 public:
  void apply(Tokens& tokens) const override {
    std::string bytes;
    for (const auto& token : tokens) bytes += bytes_of_token(token).value_or(token);
    tokens = {utf8_lossy(bytes)};
  }
};

// <0xXX> pieces that form UTF-8 together become text, others one U+FFFD each.
class ByteFallback : public Decoder {
 public:
  void apply(Tokens& tokens) const override {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_utf8(bytes))
        out.push_back(bytes);
      else
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      bytes.clear();
    };
    for (auto& token : tokens) {
      if (const int byte = byte_of(token); byte >= 0) {
        bytes += static_cast<char>(byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }

 private:
  static int byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    const auto digit = [](char c) {
      return c >= '0' && c <= '9'   ? c - '0'
             : c >= 'A' && c <= 'F' ? c - 'A' + 10
             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                    : -1;
    };
    const int high = digit(token[3]), low = digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
};

class Fuse : public Decoder {
 public:
  void apply(Tokens& tokens) const override {
    std::string all;
    for (const auto& token : tokens) all += token;
    tokens = {std::move(all)};
  }
};

class Strip : public Decoder {
 public:
  Strip(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(Tokens& tokens) const override {
    for (auto& token : tokens) {
      for (std::size_t k = 0; k < start_ && token.starts_with(content_); ++k) token.erase(0, content_.size());
      for (std::size_t k = 0; k < stop_ && token.ends_with(content_); ++k) token.erase(token.size() - content_.size());
    }
  }

 private:
  std::string content_;
  std::size_t start_, stop_;
};

class Replace : public Decoder {
 public:
  Replace(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(Tokens& tokens) const override {
    for (auto& token : tokens) {
      std::string out;
      std::size_t done = 0;
      for (const auto& [begin, end] : pattern_.find_all(token)) {
        out.append(token, done, begin - done).append(content_);
        done = end;
      }
      token = out.append(token, done, std::string::npos);
    }
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Metaspace : public Decoder {
 public:
  Metaspace(std::string replacement, bool prepended) : replacement_(std::move(replacement)), prepended_(prepended) {}
  void apply(Tokens& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string out;
      for (std::size_t at = 0; at < tokens[i].size();) {
        if (tokens[i].compare(at, replacement_.size(), replacement_) == 0) {
          if (i > 0 || !prepended_) out += ' ';  // the first token's marks stand for no space
          at += replacement_.size();
        } else {
          out += tokens[i][at++];
        }
      }
      tokens[i] = std::move(out);
    }
  }

 private:
  std::string replacement_;
  bool prepended_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const std::string& where, const nlohmann::ordered_json& json) {
  if (json.is_null()) return nullptr;
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string())
    throw bad_input(where, "decoder has no type");
  const std::string type = json["type"].get<std::string>();
  if (type == "Sequence") {
    if (!json.contains("decoders") || !json["decoders"].is_array())
      throw bad_input(where, "decoder Sequence has no list");
    std::vector<std::unique_ptr<Decoder>> parts;
    for (const auto& part : json["decoders"]) {
      if (auto made = make_decoder(where, part)) parts.push_back(std::move(made));
    }
    return std::make_unique<DecoderChain>(std::move(parts));
  }
  if (type == "ByteLevel") return std::make_unique<ByteLevel>();
  if (type == "ByteFallback") return std::make_unique<ByteFallback>();
  if (type == "Fuse") return std::make_unique<Fuse>();
  if (type == "Strip") {
    return std::make_unique<Strip>(json.value("content", " "), json.value("start", std::size_t{0}),
                                   json.value("stop", std::size_t{0}));
  }
  if (type == "Replace") {
    if (!json.contains("pattern")) throw bad_input(where, "decoder Replace has no pattern");
    return std::make_unique<Replace>(Pattern::from_json(where, json["pattern"]), json.value("content", ""));
  }
  if (type == "Metaspace") {
    const bool prepended = json.contains("prepend_scheme") ? json.value("prepend_scheme", "") != "never"
                                                           : json.value("add_prefix_space", true);
    return std::make_unique<Metaspace>(json.value("replacement", "\xE2\x96\x81"), prepended);
  }
  throw bad_input(where, "decoder " + type + " is not supported");
}

}  // namespace finetune
