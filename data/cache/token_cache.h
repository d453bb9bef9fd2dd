// Tokens of large data files, kept between runs: a run that reads what another has read maps them. Here is which file,
// when, and what is said; data/cache/token_file.h has what is in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/file_lock.h"
#include "data/cache/token_file.h"
#include "data/dataset.h"

namespace finetune {

/// "tokens" in the folder of core/cache_folder.h; "" where there is none.
std::filesystem::path token_cache_folder();

/// For one load of a list of files: find(), and where that has nothing add() for all examples, then finish(). It never
/// throws for what is wrong with the cache: that is said, and the data is read without it. Used by one thread.
class TokenCache {
 public:
  using Say = std::function<void(const std::string& line)>;

  /// Where `cache` is null or the files are too small together, nothing is looked for or kept. All must outlive this.
  TokenCache(const CacheOptions* cache, const std::vector<std::string>& files, const DataOptions& options,
             const Tokenizer& tokenizer, Say say);

  /// What is there of them.
  std::optional<Dataset> find();
  /// Puts `more` behind `all`: into the file while one is written, else into memory.
  void add(Examples& all, const Examples& more);
  /// Sets data.examples where they are in the file, and keeps it. Data with rejects is not kept.
  void finish(Dataset& data);

 private:
  std::filesystem::path path(bool by_role) const;
  std::optional<Dataset> read(bool by_role);
  void begin();
  void keep(const Dataset& data);
  void make_room() const;
  void say(const std::string& line) const;
  void say_not_kept(const std::string& why) const;

  const CacheOptions* cache_;  // null: off
  const std::vector<std::string>& files_;
  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  Say say_;
  std::string key_;
  std::optional<FileLock> lock_;  // while there is a writer
  std::optional<TokenFileWriter> writer_;
};

}  // namespace finetune
