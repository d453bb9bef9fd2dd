// Text to token ids and back, exactly as the reference libraries do it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// Ids with the span of the original text (bytes, before normalisation) that each came from; special tokens that a
/// post-processor adds have {0, 0} and `added` set.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> spans;  ///< [begin, end) in bytes of the input
  std::vector<std::uint8_t> added;                             ///< 1: put there by the post-processor
};

/// Immutable after loading; encode and decode may be called from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// `add_special`: also what the post-processor (or add_bos_token/add_eos_token) adds. `text` is valid UTF-8. Special
  /// tokens inside the text are matched either way.
  virtual Encoding encode(std::string_view text, bool add_special) const = 0;
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  virtual std::int64_t vocab_size() const = 0;  ///< highest id + 1
  virtual std::optional<std::int32_t> token_to_id(std::string_view token) const = 0;
  virtual std::string id_to_token(std::int32_t id) const = 0;  ///< the piece as stored; "" when unknown
  std::optional<std::int32_t> bos_id, eos_id, pad_id;  ///< from tokenizer_config.json, special_tokens_map, config.json
  std::string chat_template;                           ///< the checkpoint's Jinja source; "" when it has none
  std::string chat_template_file;                      ///< the file that it stands in
  /// bos_token, eos_token, unk_token ... by name, where the checkpoint names a text.
  std::vector<std::pair<std::string, std::string>> special_tokens;
};

/// Whether the folder has files that load_tokenizer would read.
bool has_tokenizer(const std::filesystem::path& folder);

/// From a checkpoint folder: tokenizer.json where there is one, else tokenizer.model, else vocab.json + merges.txt.
/// Throws Error (bad_input) naming the file and the part it cannot read.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

}  // namespace finetune
