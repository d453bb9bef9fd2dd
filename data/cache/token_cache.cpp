#include "data/cache/token_cache.h"

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

#include "core/cache_folder.h"
#include "core/error.h"
#include "core/folders.h"
#include "core/text.h"
#include "data/cache/token_key.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".tokens";
// Short lines take up to four times their bytes: 32 of an example, 5 of a token.
constexpr std::uintmax_t kMostPerByte = 4;

std::string megabytes(std::uintmax_t bytes) {
  return with_commas(static_cast<long long>((bytes + 500'000) / 1'000'000)) + " MB";
}

std::uintmax_t size_of(const std::vector<std::string>& files) {
  std::uintmax_t bytes = 0;
  for (const std::string& file : files) {
    std::error_code none;
    const std::uintmax_t size = fs::file_size(file, none);
    if (!none) bytes += size;
  }
  return bytes;
}

bool lie_on_disk(const std::vector<std::string>& files) {
  return std::ranges::none_of(files, [](const std::string& file) { return is_memory_file(file); });
}

// "" where the file system has room for the tokens of so many bytes; it is not to be filled up.
std::string want_of_room(const fs::path& folder, std::uintmax_t bytes) {
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  if (unknown || space.available / kMostPerByte >= bytes) return "";
  return folder.string() + " has " + megabytes(space.available) + " free, and " + megabytes(bytes * kMostPerByte) +
         " may be needed";
}

}  // namespace

fs::path token_cache_folder() {
  const fs::path folder = cache_folder();
  return folder.empty() ? folder : folder / "tokens";
}

TokenCache::TokenCache(const CacheOptions* cache, const std::vector<std::string>& files, const DataOptions& options,
                       const Tokenizer& tokenizer, Say say)
    : cache_(cache != nullptr && lie_on_disk(files) && size_of(files) >= cache->least_bytes ? cache : nullptr),
      files_(files),
      options_(options),
      tokenizer_(tokenizer),
      say_(std::move(say)) {}

void TokenCache::say(const std::string& line) const {
  const std::string more = files_.size() == 1 ? "" : " and " + std::to_string(files_.size() - 1) + " more";
  if (say_) say_("tokens of " + files_.front() + more + " " + line);
}

void TokenCache::say_not_kept(const std::string& why) const {
  say("are not kept for the next run: " + why);
}

fs::path TokenCache::path(bool by_role) const {
  return cache_->folder / (key_ + (by_role ? "-roles" : "") + kEnding);
}

std::optional<Dataset> TokenCache::find() {
  if (cache_ == nullptr) return std::nullopt;
  key_ = token_key(files_, options_, tokenizer_, cache_->checkpoint);
  if (!cache_->folder.empty()) {
    for (const bool by_role : {options_.by_role, true}) {
      if (auto data = read(by_role)) return data;
    }
  }
  begin();
  return std::nullopt;
}

std::optional<Dataset> TokenCache::read(bool by_role) {
  const fs::path path = this->path(by_role);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  try {
    auto data = read_token_file(path, {key_, options_.date}, files_.size(), tokenizer_.vocab_size());
    if (!data) return std::nullopt;
    data->files = files_;
    if (!options_.by_role) data->roles.clear();
    touch_file(path);
    say("come from " + path.string());
    return data;
  } catch (const Error& error) {
    say("are made anew: " + std::string(error.what()));
    return std::nullopt;
  }
}

void TokenCache::begin() {
  const fs::path& folder = cache_->folder;
  if (folder.empty()) return say_not_kept("neither XDG_CACHE_HOME nor HOME is an absolute path");
  try {
    make_folders(folder);
    if (const std::string want = want_of_room(folder, size_of(files_)); !want.empty()) return say_not_kept(want);
    lock_ = FileLock::try_lock(folder / "lock");
    if (!lock_) return say_not_kept("another run is writing to " + folder.string());
    remove_unfinished_files(folder);
    writer_.emplace(path(options_.by_role), TokenFileId{key_, options_.date});
  } catch (const Error& error) {
    lock_.reset();
    say_not_kept(error.what());
  }
}

void TokenCache::add(Examples& all, const Examples& more) {
  if (writer_) {
    try {
      more.for_each_block([&](const ExampleBlock& block) { writer_->add(block); });
      return;
    } catch (const Error& error) {
      say_not_kept(error.what());
    }
    all = writer_->written();
    writer_.reset();
    lock_.reset();
  }
  all.append(more, 0);
}

void TokenCache::finish(Dataset& data) {
  if (!writer_) return;
  data.examples = writer_->written();
  if (data.rejects.empty()) keep(data);
  writer_.reset();
  lock_.reset();
}

// What was read is what the key is of, unless somebody has changed it meanwhile.
void TokenCache::keep(const Dataset& data) {
  try {
    if (token_key(files_, options_, tokenizer_, cache_->checkpoint) != key_)
      return say_not_kept("something was changed while it was read");
    const std::uint64_t bytes = writer_->commit(data);
    say("are kept for the next run in " + path(options_.by_role).string() + " (" + megabytes(bytes) + ")");
    make_room();
  } catch (const Error& error) {
    say_not_kept(error.what());
  }
}

// What was used longest ago goes first; who has it mapped keeps it.
void TokenCache::make_room() const {
  std::vector<std::tuple<fs::file_time_type, std::uintmax_t, fs::path>> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(cache_->folder, ignored)) {
    if (entry.path().extension() == kEnding && entry.is_regular_file(ignored))
      files.emplace_back(entry.last_write_time(ignored), entry.file_size(ignored), entry.path());
  }
  std::ranges::sort(files, std::ranges::greater());
  std::uintmax_t bytes = 0;
  for (const auto& [time, size, file] : files) {
    bytes += size;
    if (bytes <= cache_->most_bytes || file == path(options_.by_role)) continue;
    remove_file(file);
    if (say_)
      say_("removed " + file.string() + ": there are more than " + megabytes(cache_->most_bytes) + " of tokens");
  }
}

}  // namespace finetune
