// From files to examples: reads, detects the format, applies the chat template or pattern, tokenizes, masks, truncates,
// and counts everything it does. Nothing is dropped silently.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/memory_files.h"
#include "data/examples.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

/// The part of the configuration that says how data is read (see src/config/run_config.h, DataConfig, for meanings).
struct DataOptions {
  std::string objective = "sft";  ///< train.objective: what rows it learns from
  std::string format = "auto";
  std::vector<std::pair<std::string, std::string>> fields;  ///< our name -> column name
  std::string prompt, completion;                           ///< patterns; "" = none
  bool has_pattern = false;
  std::string chat_template = "auto";  ///< auto, none, a name or FILE.jinja
  std::string date = "1970-01-01";     ///< YYYY-MM-DD: what strftime_now of a template writes
  std::string assumed_template;        ///< for `auto` and a checkpoint without one; "" = refuse conversations
  bool by_role = false;                ///< count the tokens of each role, for conversations
  std::int64_t max_length = 1024;      ///< already lowered to the model's limit
  std::string truncate = "end";
  std::string train_on = "completion";
  bool append_eos = true;
  std::string separator;           ///< .txt; "" = one example per non-empty line
  MemoryFiles memory;              ///< what stands for files whose paths begin with memory:
  bool keep_without_loss = false;  ///< eval: such examples stay, so that lines and results match
};

/// One line or record that cannot be used.
struct Reject {
  std::int32_t file = 0;  ///< index into Dataset::files
  std::int64_t line = 0;
  std::string reason;
};

struct RoleCount {
  std::string role;
  std::int64_t tokens = 0, loss_tokens = 0;
};

/// An entry of data.train or data.valid that has a name, or whose examples are drawn by a weight.
struct DataPart {
  std::string name;           ///< "" of an entry that is a path alone
  std::string path;           ///< as it was given
  std::int32_t end_file = 0;  ///< its files are those from the part before on, up to this one
};

/// Everything that was read from one list of files.
struct Dataset {
  std::vector<std::string> files;
  std::vector<DataPart> parts;  ///< in order; empty where entries are paths alone
  Examples examples;
  std::vector<Reject> rejects;  ///< unreadable lines, missing fields; loading is an error unless asked to collect
  std::int64_t records = 0;     ///< examples read, before any was dropped
  std::int64_t tokens = 0, loss_tokens = 0;
  std::int64_t truncated = 0;               ///< shortened to max_length
  std::int64_t dropped_long = 0;            ///< truncate: drop
  std::int64_t dropped_no_loss = 0;         ///< without a loss token
  std::int64_t straddling = 0;              ///< tokens that cross the border between prompt and completion
  std::vector<std::string> unused_columns;  ///< hold something that the format does not read
  std::string format;                       ///< as used
  std::string format_reason;                ///< why auto chose it
  std::string chat_template;                ///< as used: its name, or file and hash; "" when none
  bool reads_date = false;                  ///< the template's text depends on DataOptions::date
  /// By role, in order of appearance: tokens, and those of them that carry loss. Empty unless asked for.
  std::vector<RoleCount> roles;
};

/// "dev.jsonl:7"
std::string place_of(const Dataset& data, std::int32_t file, std::int64_t line);

/// Why these examples cannot teach a conversation, or "": no token or every token of a conversation carries loss.
std::string share_problem(const Dataset& data, const DataOptions& options);

struct LoadProgress {
  std::string file;
  double share = 0;  ///< of its bytes that have been worked on
};

/// Of a token cache (data/cache/token_cache.h).
struct CacheOptions {
  std::filesystem::path folder;                         ///< "": there is none to have, which is said
  std::filesystem::path checkpoint;                     ///< the folder that the tokenizer was loaded from
  std::uint64_t least_bytes = std::uint64_t{64} << 20;  ///< of the files together; smaller data is read each time
  std::uint64_t most_bytes = std::uint64_t{64} << 30;   ///< of the folder: what was used longest ago goes first
};

struct LoadOptions {
  bool collect_rejects = false;  ///< go on after bad lines and list them all (verb check); otherwise the first bad line
                                 ///< throws Error naming it and how many there are
  std::function<void(const LoadProgress&)> progress;  ///< called now and then, on this thread; may throw
  const CacheOptions* cache = nullptr;                ///< null: none
  std::function<void(const std::string&)> say;        ///< what is done with the cache, a line each
};

/// With all cores; what comes of it does not depend on how many there are, nor on the cache.
Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                     const LoadOptions& how = {});

/// Adds what was read from other files, which come behind. A format of its own is named beside the others.
void append(Dataset& all, Dataset more);

/// How many examples each part has; without parts all are one.
std::vector<std::int64_t> part_sizes(const Dataset& data);

/// By file: the name of its part. Empty without parts.
std::vector<std::string> part_names(const Dataset& data);

/// Holds out a share by hash of each example's ids (stable: does not depend on the other examples), at least 1 and at
/// most 2000. Returns the held-out examples and removes them from `examples`.
Examples split_by_hash(Examples& examples, double fraction);

}  // namespace finetune
