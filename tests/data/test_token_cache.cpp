// Tokens that are kept between runs: what comes out is what a read makes, whatever happens to the cache.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "data/cache/token_cache.h"
#include "data/cache/token_key.h"
#include "data/dataset.h"
#include "tiny_data.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

// A file, a folder for its tokens, and what is said of them.
struct Cached {
  explicit Cached(int records = 9'000) {
    fs::create_directories(root / "checkpoint");
    std::string content;
    for (int i = 0; i < records; ++i)
      content += R"({"prompt":"a)" + std::string(static_cast<std::size_t>(i % 50), 'x') +
                 R"(","completion":"b","c":1})"
                 "\n";
    write_file_atomically(file, content);
  }
  ~Cached() { fs::remove_all(root); }

  Dataset load() { return load(options); }
  Dataset load(const DataOptions& with) { return load_dataset({file}, with, *with_marks(), how()); }
  std::string plain() const { return all_of(load_dataset({file}, options, *with_marks())); }
  LoadOptions how() {
    return {.progress = progress, .cache = &cache, .say = [&](const std::string& line) { said += line + "\n"; }};
  }
  // Whether it was said since it was asked last.
  bool says(const std::string& text) { return std::exchange(said, "").find(text) != std::string::npos; }
  std::vector<fs::path> kept() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(cache.folder)) files.push_back(entry.path());
    return files;
  }

  const fs::path root = fs::temp_directory_path() / ("finetune_tokens_" + std::to_string(getpid()));
  const std::string file = (root / "data.jsonl").string();
  DataOptions options{.max_length = 40};
  CacheOptions cache{.folder = root / "cache", .checkpoint = root / "checkpoint", .least_bytes = 1};
  std::function<void(const LoadProgress&)> progress;
  std::string said;
};

TEST(TokenCache, GivesWhatWasRead) {
  Cached of;
  const std::string plain = of.plain();
  EXPECT_TRUE(all_of(of.load()) == plain);
  EXPECT_TRUE(of.says("are kept for the next run in ")) << of.said;
  ASSERT_EQ(of.kept().size(), 1u) << "nothing but the tokens is left in the folder";
  const Dataset again = of.load();
  EXPECT_TRUE(of.says("come from ")) << of.said;
  EXPECT_TRUE(all_of(again) == plain);
  EXPECT_EQ(again.format, "prompt_completion");
  EXPECT_EQ(again.files, std::vector<std::string>{of.file});
  EXPECT_GT(again.truncated, 0);
  EXPECT_EQ(again.examples.longest(), 40);
  EXPECT_GT(again.examples.highest_id(), 5);
}

TEST(TokenCache, SmallDataIsReadEachTime) {
  Cached of(10);
  of.cache.least_bytes = fs::file_size(of.file) + 1;
  of.load();
  EXPECT_EQ(of.said, "");
  EXPECT_FALSE(fs::exists(of.cache.folder));
}

TEST(TokenCache, OtherContentIsReadAnew) {
  Cached of;
  of.load();
  write_file_atomically(of.file, std::string_view(R"({"prompt":"a","completion":"b"})"));
  EXPECT_EQ(of.load().examples.size(), 1u);
  write_file_atomically(of.root / "checkpoint" / "tokenizer.json", std::string_view("{}"));
  of.load();
  EXPECT_FALSE(of.says("come from")) << of.said;
}

// Whatever an example may follow from.
TEST(TokenCache, EveryOptionCounts) {
  Cached of(10);
  const auto tokenizer = with_marks();
  std::set<std::string> keys;
  const auto add = [&](const auto& change) {
    DataOptions options = of.options;
    change(options);
    EXPECT_TRUE(keys.insert(token_key({of.file}, options, *tokenizer, of.cache.checkpoint)).second);
  };
  add([](DataOptions&) {});
  add([](DataOptions& o) { o.objective = "dpo"; });
  add([](DataOptions& o) { o.format = "text"; });
  add([](DataOptions& o) { o.fields = {{"prompt", "q"}}; });
  add([](DataOptions& o) { o.fields = {{"prompt", ""}, {"q", ""}}; });
  add([](DataOptions& o) { o.prompt = "p"; });
  add([](DataOptions& o) { o.completion = "p"; });
  add([](DataOptions& o) { o.has_pattern = true; });
  add([](DataOptions& o) { o.chat_template = "chatml"; });
  add([](DataOptions& o) { o.assumed_template = "chatml"; });
  add([](DataOptions& o) { o.max_length = 41; });
  add([](DataOptions& o) { o.truncate = "drop"; });
  add([](DataOptions& o) { o.train_on = "all"; });
  add([](DataOptions& o) { o.append_eos = false; });
  add([](DataOptions& o) { o.separator = ";"; });
  add([](DataOptions& o) { o.keep_without_loss = true; });
  tokenizer->chat_template = "another";
  add([](DataOptions&) {});
  fs::copy(of.file, of.root / "data.txt");
  EXPECT_TRUE(
      keys.insert(token_key({(of.root / "data.txt").string()}, of.options, *tokenizer, of.cache.checkpoint)).second);
}

TEST(TokenCache, WhoAsksForNoRolesTakesWhatHasThem) {
  Cached of(10);
  write_file_atomically(
      of.file, std::string_view(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})"));
  of.options.chat_template = "chatml";
  of.options.max_length = 400;
  DataOptions by_role = of.options;
  by_role.by_role = true;
  const auto roles = of.load(by_role).roles.size();
  EXPECT_GT(roles, 0u);
  EXPECT_EQ(of.load().roles.size(), 0u);
  EXPECT_TRUE(of.says("come from"));
  EXPECT_EQ(of.load(by_role).roles.size(), roles);
  EXPECT_TRUE(of.says("come from"));
}

TEST(TokenCache, DamageIsSaidAndMadeGood) {
  Cached of(200);
  const std::string plain = all_of(of.load());
  const std::string whole = read_file(of.kept().front());
  for (std::size_t i = 0; i < 64; ++i) {
    std::string bytes = whole;
    if (i % 2 == 0)
      bytes[i * (bytes.size() - 1) / 62] ^= 1;
    else
      bytes.resize(i * bytes.size() / 64);
    write_file_atomically(of.kept().front(), bytes);
    EXPECT_TRUE(all_of(of.load()) == plain) << i;
    EXPECT_TRUE(of.says("is damaged")) << i;
  }
  of.load();
  EXPECT_TRUE(of.says("come from"));
}

// Somebody wrote it who knows how: what is taken from it is in range, or nothing is.
TEST(TokenCache, AForgedFileIsNoDanger) {
  Cached of(50);
  of.load();
  const std::string whole = read_file(of.kept().front());
  const std::int64_t vocabulary = with_marks()->vocab_size();
  int taken = 0;
  for (std::size_t at = 0; at < whole.size() - 32; at += 61) {
    std::string bytes = whole.substr(0, whole.size() - 32);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    bytes += content_hash(bytes);
    write_file_atomically(of.kept().front(), bytes);
    const Dataset data = of.load();
    taken += of.says("come from") ? 1 : 0;
    for (const ExampleView example : data.examples) {
      ASSERT_EQ(example.file, 0);
      for (const std::int32_t id : example.ids) ASSERT_TRUE(id >= 0 && id < vocabulary) << at;
    }
  }
  EXPECT_GT(taken, 0) << "an id that becomes another one cannot be seen";
  // Every number of where the blocks lie, changed to one that is far too large.
  const std::size_t blocks = whole.find("\"blocks\":[["), json_end = whole.rfind('}') + 1;
  ASSERT_NE(blocks, std::string::npos);
  for (std::size_t at = blocks + 11; at < json_end; ++at) {
    if (std::isdigit(static_cast<unsigned char>(whole[at - 1])) != 0 ||
        std::isdigit(static_cast<unsigned char>(whole[at])) == 0)
      continue;
    for (const std::string& number : {std::string("1000000000000"), std::string("18446744073709551608")}) {
      const std::size_t end = whole.find_first_not_of("0123456789", at);
      std::string json = whole.substr(blocks, at - blocks) + number + whole.substr(end, json_end - end);
      const std::uint64_t begin = whole.rfind('{', blocks), length = blocks - begin + json.size();
      std::string bytes = whole.substr(0, blocks) + json + std::string(reinterpret_cast<const char*>(&length), 8);
      bytes += content_hash(bytes);
      write_file_atomically(of.kept().front(), bytes);
      of.load();
      EXPECT_TRUE(of.says("is damaged")) << json;
    }
  }
}

TEST(TokenCache, AFolderThatTakesNothingIsSaid) {
  Cached of;
  of.cache.folder = of.root / "data.jsonl" / "cache";
  EXPECT_TRUE(all_of(of.load()) == of.plain());
  EXPECT_TRUE(of.says("are not kept for the next run: "));
  of.cache.folder = "";
  EXPECT_TRUE(all_of(of.load()) == of.plain());
  EXPECT_TRUE(of.says("neither XDG_CACHE_HOME nor HOME"));
}

// The file may grow to so many bytes, as on a disk that is full then; blocks are smaller.
TEST(TokenCache, AFullDiskIsSaid) {
  Cached of(12'000);
  const std::string plain = of.plain();
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{}, small{};
  getrlimit(RLIMIT_FSIZE, &limit);
  for (const rlim_t bytes : {0, 1'000, 300'000, 800'000}) {
    small = {bytes, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string read = all_of(of.load());
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_TRUE(read == plain) << bytes;
    EXPECT_TRUE(of.says("are not kept for the next run: ")) << bytes;
    EXPECT_TRUE(of.kept().empty()) << bytes;
  }
  std::signal(SIGXFSZ, before);
  of.load();
  EXPECT_TRUE(of.says("are kept"));
}

TEST(TokenCache, AKilledRunLeavesNothingForLong) {
  Cached of(12'000);
  const std::string plain = of.plain();
  if (const pid_t child = fork(); child == 0) {
    of.progress = [](const LoadProgress&) { raise(SIGKILL); };
    of.load();
    _exit(0);
  } else {
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  EXPECT_EQ(of.kept().size(), 2u) << "a lock and an unfinished file";
  EXPECT_TRUE(all_of(of.load()) == plain);
  EXPECT_EQ(of.kept().size(), 1u);
  EXPECT_TRUE(of.says("are kept"));
}

TEST(TokenCache, OneWritesAtATime) {
  Cached of(10);
  fs::create_directories(of.cache.folder);
  const auto lock = FileLock::try_lock(of.cache.folder / "lock");
  EXPECT_TRUE(all_of(of.load()) == of.plain());
  EXPECT_TRUE(of.says("another run is writing"));
}

TEST(TokenCache, WhatChangesWhileItIsReadIsNotKept) {
  Cached of;
  of.progress = [&](const LoadProgress&) {
    write_file_atomically(of.root / "checkpoint" / "vocab.json", std::string_view("{}"));
  };
  EXPECT_TRUE(all_of(of.load()) == of.plain());
  EXPECT_TRUE(of.says("something was changed"));
  EXPECT_TRUE(of.kept().empty());
}

TEST(TokenCache, DataWithRejectsIsNotKept) {
  Cached of;
  write_file_atomically(of.file, read_file(of.file) + "no json\n");
  LoadOptions how = of.how();
  how.collect_rejects = true;
  const Dataset data = load_dataset({of.file}, of.options, *with_marks(), how);
  EXPECT_EQ(data.examples.size(), 6'840u) << "the others are cut before their answer";
  EXPECT_EQ(data.rejects.size(), 1u);
  EXPECT_TRUE(of.kept().empty());
  EXPECT_THROW(of.load(), Error);
  EXPECT_TRUE(of.kept().empty());
}

TEST(TokenCache, WhatWasUsedLongestAgoGoes) {
  Cached of;
  const auto with = [&](std::int64_t length) {
    DataOptions options = of.options;
    options.max_length = length;
    return options;
  };
  of.load(with(20));
  const fs::path first = of.kept().front();
  of.cache.most_bytes = 5 * fs::file_size(first) / 2;
  of.load(with(21));
  const auto hour_ago = fs::last_write_time(first) - std::chrono::hours(1);
  for (const fs::path& file : of.kept()) fs::last_write_time(file, hour_ago);
  of.load(with(20));
  EXPECT_TRUE(of.says("come from"));
  of.load(with(22));
  EXPECT_TRUE(of.says("removed "));
  EXPECT_EQ(of.kept().size(), 2u);
  EXPECT_TRUE(fs::exists(first));
}

}  // namespace
}  // namespace finetune::testing
