// From records to examples: formats, the completion rule, truncation, what is counted, splits.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "tiny_data.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

Dataset load(const std::string& ending, const std::string& content, const DataOptions& options = {},
             bool collect = false) {
  const fs::path path = fs::temp_directory_path() / ("finetune_dataset_" + std::to_string(getpid()) + ending);
  write_file_atomically(path, content);
  const auto remove =
      std::unique_ptr<const fs::path, void (*)(const fs::path*)>(&path, [](auto* p) { fs::remove(*p); });
  return load_dataset({path.string()}, options, *with_marks(), {.collect_rejects = collect});
}

std::string error_of(const std::string& ending, const std::string& content, const DataOptions& options = {}) {
  try {
    load(ending, content, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

using Ids = std::vector<std::int32_t>;
using Loss = std::vector<std::uint8_t>;

TEST(Completion, CarriesTheLossAndEosToo) {
  const Dataset data = load(".jsonl", R"({"prompt":"cd","completion":"ef"})");
  EXPECT_EQ(data.examples[0].ids, (Ids{1, 8, 9, 10, 11, 2}));
  EXPECT_EQ(data.examples[0].loss, (Loss{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(data.format, "prompt_completion");
  EXPECT_EQ(data.format_reason, "there are columns prompt and completion");
  EXPECT_EQ(data.tokens, 6);
  EXPECT_EQ(data.loss_tokens, 3);
  EXPECT_EQ(data.straddling, 0);
}

TEST(Completion, TakesATokenThatStraddlesTheBorder) {
  const Dataset data = load(".jsonl", R"({"prompt":"ca","completion":"bd"})");
  EXPECT_EQ(data.examples[0].ids, (Ids{1, 8, 5, 9, 2}));
  EXPECT_EQ(data.examples[0].loss, (Loss{0, 0, 1, 1, 1}));
  EXPECT_EQ(data.straddling, 1);
}

TEST(Completion, EosComesOnceAndOnlyWhereItIsWanted) {
  EXPECT_EQ(load(".jsonl", R"({"prompt":"c","completion":"d</s>"})").examples[0].ids, (Ids{1, 8, 9, 2}));
  EXPECT_EQ(load(".jsonl", R"({"prompt":"c","completion":"d"})", {.append_eos = false}).examples[0].ids,
            (Ids{1, 8, 9}));
}

TEST(Marks, ComeOnceInEveryFormat) {
  const Ids wanted{1, 8, 9, 2};
  const std::vector<std::pair<const char*, std::string>> files{
      {".txt", "<s>cd</s>\n"},
      {".jsonl", R"({"text":"<s>cd</s>"})"},
      {".jsonl", R"({"prompt":"<s>c","completion":"d</s>"})"},
      {".jsonl", R"({"prompt":"<s><s>c","completion":"d</s></s>"})"},
      {".csv", "prompt,completion\n<s>c,d</s>\n"},
      {".tsv", "prompt\tcompletion\n<s>c\td</s>\n"}};
  for (const auto& [ending, content] : files) {
    for (const bool append : {true, false})
      EXPECT_EQ(load(ending, content, {.append_eos = append}).examples[0].ids, wanted) << content;
  }
  const DataOptions pattern{.prompt = "<s>{q}", .completion = "{a}</s>", .has_pattern = true};
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", pattern).examples[0].ids, wanted);
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", pattern).examples[0].loss, (Loss{0, 0, 1, 1}));
  EXPECT_EQ(load(".jsonl", files[2].second, {.append_eos = false}).examples[0].loss, (Loss{0, 0, 1, 1}))
      << "an EOS that the completion wrote is learned";
  EXPECT_EQ(load(".jsonl", R"({"prompt":"c<s>","completion":"d"})", {.append_eos = false}).examples[0].ids,
            (Ids{1, 8, 1, 9}))
      << "inside a text it is what the library makes of it";
}

TEST(Loss, OnAllTokensLeavesOutTheFirst) {
  EXPECT_EQ(load(".jsonl", R"({"prompt":"cd","completion":"ef"})", {.train_on = "all"}).examples[0].loss,
            (Loss{0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(load(".txt", "cd\n").examples[0].loss, (Loss{0, 1, 1, 1}));
}

// " x" is one token: in a prompt and its completion it is learned, in a chat it is the generation prompt's.
TEST(Border, ATokenOfTheGenerationPromptIsNoTarget) {
  EXPECT_EQ(load(".jsonl", R"({"prompt":"a ","completion":"xy"})").examples[0].loss, (Loss{0, 0, 1, 1, 1}));
  const fs::path chat = fs::temp_directory_path() / ("finetune_border_" + std::to_string(getpid()) + ".jinja");
  write_file_atomically(chat, "{% for m in messages %}{{ m.content + ' ' }}{% endfor %}");
  const Dataset data =
      load(".jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"xy"}]})",
           {.chat_template = chat.string()});
  fs::remove(chat);
  EXPECT_EQ(data.examples[0].loss, (Loss{0, 0, 1, 0}));  // a, " x", y, " "
  EXPECT_EQ(data.straddling, 1);
}

TEST(LongExamples, AreShortenedDroppedOrRefusedAndCounted) {
  const std::string two = "{\"prompt\":\"c\",\"completion\":\"d\"}\n{\"prompt\":\"cde\",\"completion\":\"fgh\"}\n";
  const Dataset cut = load(".jsonl", two, {.max_length = 5});
  EXPECT_EQ(cut.truncated, 1);
  EXPECT_EQ(cut.examples[1].ids, (Ids{1, 8, 9, 10, 11}));
  EXPECT_EQ(cut.loss_tokens, 2 + 1);
  const Dataset dropped = load(".jsonl", two, {.max_length = 5, .truncate = "drop"});
  EXPECT_EQ(dropped.dropped_long, 1);
  EXPECT_EQ(dropped.examples.size(), 1u);
  EXPECT_NE(error_of(".jsonl", two, {.max_length = 5, .truncate = "error"})
                .find(":2: has 8 tokens, more than data.max_length = 5"),
            std::string::npos);
  const Dataset empty = load(".jsonl", two, {.max_length = 4});
  EXPECT_EQ(empty.dropped_no_loss, 1);
  EXPECT_EQ(empty.records, 2);
  EXPECT_EQ(load(".jsonl", two, {.max_length = 4, .keep_without_loss = true}).examples.size(), 2u);
}

TEST(Format, IsDetectedWithAReason) {
  EXPECT_EQ(load(".jsonl", R"({"text":"a"})").format_reason, "there is a column text");
  EXPECT_EQ(load(".jsonl", R"({"instruction":"a","output":"b"})").format, "alpaca");
  const Dataset chat =
      load(".jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})",
           {.chat_template = "chatml"});
  EXPECT_EQ(chat.format, "messages");
  EXPECT_EQ(chat.chat_template, "chatml");
  const Dataset shared =
      load(".jsonl", R"({"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"system":"s"})",
           {.chat_template = "plain"});
  EXPECT_EQ(shared.format, "sharegpt");
  EXPECT_EQ(shared.chat_template, "plain");
  for (const char* record : {R"({"instruction":"a"})", R"({"output":"b"})", R"({"prompt":"a"})", R"({"messages":"a"})",
                             R"({"conversations":"a"})"})
    EXPECT_NE(error_of(".jsonl", record).find("the format cannot be told from the columns"), std::string::npos)
        << record;
  EXPECT_NE(error_of(".csv", "q,a\nx,y\n").find("the format cannot be told from the columns q, a"), std::string::npos);
}

TEST(Conversations, TakeASystemColumnWhereTheyHaveNoSystemTurn) {
  const auto ids_of = [](const std::string& rest) {
    const std::string turns = R"({"from":"human","value":"b"},{"from":"gpt","value":"c"}])";
    const Dataset data =
        load(".jsonl",
             R"({"conversations":[)" + rest.substr(0, rest.find('|')) + turns + rest.substr(rest.find('|') + 1) + "}",
             {.chat_template = "plain"});
    const ExampleView example = data.examples[0];
    return Ids(example.ids.begin(), example.ids.end());
  };
  const Ids alone = ids_of("|"), with_system = ids_of(R"({"from":"system","value":"aa"},|)");
  EXPECT_NE(alone, with_system);
  EXPECT_EQ(ids_of(R"(|,"system":"")"), alone);
  EXPECT_EQ(ids_of(R"(|,"system":"aa")"), with_system);
  EXPECT_EQ(ids_of(R"({"from":"system","value":"aa"},|,"system":"d")"), with_system) << "its own turn goes first";
}

TEST(Columns, OfOtherNamesAndPatterns) {
  const Ids wanted{1, 8, 9, 2};
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", {.fields = {{"prompt", "q"}, {"completion", "a"}}}).examples[0].ids, wanted);
  const DataOptions pattern{.prompt = "{q}", .completion = "{a}", .has_pattern = true};
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", pattern).examples[0].ids, wanted);
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", pattern).examples[0].loss, (Loss{0, 0, 1, 1}));
  EXPECT_EQ(load(".csv", "q,a\nc,d\n", {.prompt = "{{{q}", .has_pattern = true}).examples[0].ids, (Ids{1, 0, 8, 2}))
      << "{{ stands for a brace, which the tokenizer does not know";
  EXPECT_NE(error_of(".csv", "q,b\nc,d\n", pattern)
                .find(":2: data.completion names column a, which is missing; the record has q, b"),
            std::string::npos);
  EXPECT_NE(error_of(".csv", "q\nc\n", {.prompt = "{q", .has_pattern = true}).find("{ is never closed"),
            std::string::npos);
}

TEST(BadLines, AreNamedFirstAndCounted) {
  const std::string bad = "{\"prompt\":\"a\",\"completion\":\"b\"}\n\n{\"prompt\":\"a\"}\n{}\nx\n";
  const std::string message = error_of(".jsonl", bad);
  EXPECT_NE(message.find(".jsonl:3: field completion is missing"), std::string::npos) << message;
  EXPECT_NE(message.find("and 2 more bad lines"), std::string::npos) << message;
  const Dataset collected = load(".jsonl", bad, {}, true);
  EXPECT_EQ(collected.rejects.size(), 3u);
  EXPECT_EQ(collected.records, 4);
  EXPECT_EQ(collected.rejects[2].line, 5);
  EXPECT_TRUE(place_of(collected, 0, 5).ends_with(".jsonl:5"));
}

// More than is worked on at once, with long lines, bad ones and ones that are cut.
std::string many_records() {
  std::string content;
  for (int i = 0; i < 60'000; ++i) {
    const std::string word(static_cast<std::size_t>(1 + i % 97), static_cast<char>('a' + i % 26));
    content += i == 5'000    ? "{}\n"
               : i == 50'000 ? "no json\n"
                             : R"({"text":")" + word + "\",\"c" + std::to_string(i / 20'000) + "\":1}\n";
  }
  return content;
}

// Runs it on one processor.
template <typename Work>
auto on_one_core(const Work& work) {
  cpu_set_t all, one;
  sched_getaffinity(0, sizeof all, &all);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  auto result = work();
  sched_setaffinity(0, sizeof all, &all);
  return result;
}

TEST(Load, TheNumberOfCoresDecidesNothing) {
  const std::string content = many_records();
  DataOptions options;
  options.max_length = 40;
  const Dataset data = load(".jsonl", content, options, true);
  EXPECT_EQ(data.records, 60'000);
  ASSERT_EQ(data.rejects.size(), 2u);
  EXPECT_EQ(data.rejects[0].line, 5'001);
  EXPECT_EQ(data.rejects[1].line, 50'001);
  EXPECT_EQ(data.unused_columns, (std::vector<std::string>{"c0", "c1", "c2"}));
  std::int64_t before = 0;
  for (const ExampleView example : data.examples) {
    ASSERT_EQ(example.line, before + (before == 5'000 || before == 50'000 ? 2 : 1));
    before = example.line;
  }
  const std::string alone = on_one_core([&] { return all_of(load(".jsonl", content, options, true)); });
  EXPECT_TRUE(all_of(data) == alone);
}

TEST(Load, TheFirstBadLineIsTheFirstInTheFile) {
  const std::string message = error_of(".jsonl", many_records());
  EXPECT_NE(message.find(".jsonl:5001: "), std::string::npos) << message;
  EXPECT_NE(message.find("(and 1 more bad lines"), std::string::npos) << message;
}

std::vector<Example> numbered(int count) {
  std::vector<Example> examples;
  for (int i = 0; i < count; ++i) examples.push_back({.ids = {i, i * 7 % 13, i + 5}, .loss = {0, 1, 1}, .line = i});
  return examples;
}

std::set<std::int64_t> lines_of(const Examples& examples) {
  std::set<std::int64_t> lines;
  for (const ExampleView example : examples) lines.insert(example.line);
  return lines;
}

TEST(Split, DoesNotDependOnTheOrderOfTheExamples) {
  auto reversed = numbered(400);
  std::reverse(reversed.begin(), reversed.end());
  Examples one = numbered(400), other = reversed;
  const auto held = split_by_hash(one, 0.1);
  EXPECT_EQ(held.size(), 40u);
  EXPECT_EQ(one.size(), 360u);
  EXPECT_EQ(lines_of(held), lines_of(split_by_hash(other, 0.1)));
}

TEST(Split, KeepsMostOfItsChoiceWhenExamplesAreAdded) {
  Examples few = numbered(400), more = numbered(440);
  const auto before = lines_of(split_by_hash(few, 0.1)), after = lines_of(split_by_hash(more, 0.1));
  std::size_t kept = 0;
  for (const auto line : before) kept += after.count(line);
  // A tenth more examples push the border by about a tenth of the held-out share and its noise (4 +- 2 of 40).
  EXPECT_GE(kept, 30u);
}

TEST(Split, HoldsOutAtLeastOneAndAtMost2000) {
  Examples two = numbered(2), many = numbered(30000), single = numbered(1);
  EXPECT_EQ(split_by_hash(two, 0.05).size(), 1u);
  EXPECT_EQ(split_by_hash(many, 0.5).size(), 2000u);
  EXPECT_TRUE(split_by_hash(single, 0.5).empty());
}

}  // namespace
}  // namespace finetune::testing
