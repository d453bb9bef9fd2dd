// A Dataset as a file that is mapped: examples as flat columns, block by block, and behind them everything else as
// JSON. What is read is not trusted: its hash, every length and place, and every id are looked at.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/content_hash.h"
#include "core/files.h"
#include "data/dataset.h"

namespace finetune {

/// What a file says it is of.
struct TokenFileId {
  std::string key;   ///< of the content that it was made from
  std::string date;  ///< DataOptions::date, which counts where the template reads it
};

/// Where a block lies in the file: one column behind the other.
struct BlockPlace {
  static constexpr std::size_t kColumns = 11;  ///< of for_each_column
  std::int32_t file = 0;
  std::uint64_t begin = 0;
  std::array<std::uint64_t, kColumns> lengths{};
};

/// Takes blocks as they are made, so that they need not stay in memory. Nothing has its name before commit(). Used by
/// one thread. Throws Error (failed) naming the path.
class TokenFileWriter {
 public:
  TokenFileWriter(const std::filesystem::path& path, TokenFileId id);

  void add(const ExampleBlock& block);
  /// All that was added, mapped; also when the file is gone.
  Examples written() const;
  /// `data`: everything but the examples is of it; it has no rejects and no parts. Returns the bytes of the file.
  std::uint64_t commit(const Dataset& data);

 private:
  void write(std::string_view bytes);

  AtomicFile file_;
  TokenFileId id_;
  ContentHash hash_;
  std::uint64_t size_ = 0;
  std::vector<BlockPlace> places_;
  std::vector<std::pair<std::int64_t, std::int32_t>> extremes_;  // of each block: longest, highest_id
};

/// Without `files`, whose number is `files`; examples stay in the file, which is mapped as long as they live. None
/// where it is of another day. Throws Error (bad_input) saying what is wrong with it; ids must be below `vocabulary`.
std::optional<Dataset> read_token_file(const std::filesystem::path& path, const TokenFileId& id, std::size_t files,
                                       std::int64_t vocabulary);

}  // namespace finetune
