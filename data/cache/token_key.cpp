#include "data/cache/token_key.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "core/content_hash.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestSmallFile = std::uintmax_t{64} << 20;

// Values one behind the other, such that no two lists of them are the same bytes.
class KeyHash {
 public:
  void add(std::string_view text) {
    hash_.add(std::to_string(text.size()) + ":");
    hash_.add(text);
  }
  void add(std::int64_t number) { add(std::to_string(number)); }
  std::string text() const { return hash_.text(); }

 private:
  ContentHash hash_;
};

void add_options(KeyHash& hash, const DataOptions& options) {
  for (const std::string* text :
       {&options.objective, &options.format, &options.prompt, &options.completion, &options.chat_template,
        &options.assumed_template, &options.truncate, &options.train_on, &options.separator})
    hash.add(*text);
  hash.add(std::ssize(options.fields));
  for (const auto& [name, column] : options.fields) {
    hash.add(name);
    hash.add(column);
  }
  hash.add(options.max_length);
  for (const bool flag : {options.has_pattern, options.append_eos, options.keep_without_loss}) hash.add(flag ? 1 : 0);
  if (options.chat_template.ends_with(".jinja")) hash.add(file_hash(options.chat_template));
}

// All that a tokenizer is made from, whichever of it it reads: by name and content.
void add_checkpoint(KeyHash& hash, const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string ending = entry.path().extension().string();
    const bool read = ending == ".json" || ending == ".model" || ending == ".txt" || ending == ".jinja";
    if (read && entry.is_regular_file(ignored) && entry.file_size(ignored) <= kLargestSmallFile)
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    hash.add(file.filename().string());
    hash.add(file_hash(file));
  }
}

}  // namespace

std::string token_key(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                      const fs::path& checkpoint) {
  KeyHash hash;
  hash.add(file_hash("/proc/self/exe"));  // another build may make other tokens
  add_checkpoint(hash, checkpoint);
  hash.add(tokenizer.chat_template);
  hash.add(tokenizer.chat_template_file);
  add_options(hash, options);
  for (const std::string& file : files) {
    hash.add(fs::path(file).extension().string());
    hash.add(file_hash(file));
  }
  return hash.text();
}

}  // namespace finetune
