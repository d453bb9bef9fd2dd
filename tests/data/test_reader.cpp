// Files of every format: what becomes a record, at which line, and what is rejected.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "data/reader.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

// "LINE RECORD" and "LINE! REASON" in the order they come.
Lines read(const std::string& ending, const std::string& content, const std::string& separator = "") {
  const fs::path path = fs::temp_directory_path() / ("finetune_reader_" + std::to_string(getpid()) + ending);
  write_file_atomically(path, content);
  Lines lines;
  try {
    read_records(
        path.string(), separator, {},
        {[&](const Record& record) { lines.push_back(std::to_string(record.line) + " " + record.value.dump()); },
         [&](std::int64_t line, const std::string& reason) { lines.push_back(std::to_string(line) + "! " + reason); }});
  } catch (const Error& error) {
    const std::string message = error.what();
    lines.push_back("error" + (message.starts_with(path.string()) ? message.substr(path.string().size()) : message));
  }
  fs::remove(path);
  return lines;
}

TEST(Jsonl, SkipsBlankLinesButCountsThem) {
  EXPECT_EQ(read(".jsonl", "\xEF\xBB\xBF{\"a\":1}\r\n\r\n  \n{\"a\":\"\\u00e9\"}"),
            (Lines{"1 {\"a\":1}", "4 {\"a\":\"\xC3\xA9\"}"}));
}

TEST(Jsonl, RejectsALineAndGoesOn) {
  const Lines lines =
      read(".jsonl", "{\"a\":1}\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":\"\\ud800\"}\n{\"a\":\"\xFF\"}\n{\"a\"\n{\"b\":2}\n");
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[1], "2! is not a JSON object");
  EXPECT_EQ(lines[2], "3! key \"a\" is repeated");
  EXPECT_TRUE(lines[3].starts_with("4! is not valid JSON at byte")) << lines[3];
  EXPECT_EQ(lines[4], "5! is not valid UTF-8");
  EXPECT_TRUE(lines[5].starts_with("6! is not valid JSON")) << lines[5];
  EXPECT_EQ(lines[6], "7 {\"b\":2}");
}

TEST(Jsonl, NestsAtMost32Deep) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(read(".jsonl", nested(31))[0].starts_with("1 "));
  EXPECT_EQ(read(".jsonl", nested(32))[0], "1! is nested deeper than 32 levels");
  EXPECT_EQ(read(".jsonl", nested(1000000))[0], "1! is nested deeper than 32 levels");
}

TEST(Json, IsAListOrALineEachWhateverTheFileIsCalled) {
  const Lines records{"1 {\"a\":1}", "2! is not a JSON object", "3 {\"a\":3}"};
  for (const char* ending : {".json", ".jsonl", ".JSON"}) {
    EXPECT_EQ(read(ending, "[{\"a\":1},\n\n2,{\"a\":3}]"), records) << ending << ", a list over lines";
    EXPECT_EQ(read(ending, "\n [{\"a\":1},2,{\"a\":3}]\n"), records) << ending << ", a list on one line";
    EXPECT_EQ(read(ending, "[\n{\n\"a\":1},2,{\"a\":3}]"), records) << ending << ", records over lines";
    EXPECT_EQ(read(ending, "{\"a\":1}\n2\n{\"a\":3}\n"), records) << ending << ", a record a line";
    EXPECT_EQ(read(ending, "{\"a\":1}"), Lines{records[0]}) << ending << ", one line";
    EXPECT_EQ(read(ending, "[1]\n{\"a\":2}\n"), (Lines{"1! is not a JSON object", "2 {\"a\":2}"})) << ending;
    EXPECT_TRUE(read(ending, "\n").empty()) << ending;
  }
}

TEST(Json, NamesABrokenFirstLineAndGoesOn) {
  const Lines lines = read(".json", "{\"a\":1,}\n{\"a\":2}\n");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].starts_with("1! is not valid JSON")) << lines[0];
  EXPECT_EQ(lines[1], "2 {\"a\":2}");
  EXPECT_TRUE(read(".json", "[{\"a\":1},\n{\"a\"")[0].starts_with("error: is not valid JSON"));
}

TEST(Json, RefusesOneObjectOverManyLinesNamingItsKeys) {
  EXPECT_EQ(read(".json", "{\n  \"version\": 1,\n  \"data\": [{\"a\": 1}]\n}\n"),
            Lines{"error: is one object over many lines (its keys: version, data), not a list of records or one object "
                  "per line"});
}

TEST(Lines, EndWithLfCrLfOrCrInEveryFormat) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const auto lines = [&](std::initializer_list<std::string> parts) {
      std::string text;
      for (const auto& part : parts) text += part + end;
      return text;
    };
    EXPECT_EQ(read(".csv", lines({"a,b", "1,\"x" + end + "y\"", "", "2,z"})).size(), 2u);
    EXPECT_EQ(read(".csv", lines({"a,b", "1,x", "", "2,z"})),
              (Lines{"2 {\"a\":\"1\",\"b\":\"x\"}", "4 {\"a\":\"2\",\"b\":\"z\"}"}));
    EXPECT_EQ(read(".csv", lines({"a,b", "\"x" + end + "y\",1", "\"2\",\"z\""}))[1], "4 {\"a\":\"2\",\"b\":\"z\"}")
        << "a line end in a quoted cell is content, and counts";
    EXPECT_EQ(read(".tsv", lines({"a\tb", "1\tx", "", "2\tz"})),
              (Lines{"2 {\"a\":\"1\",\"b\":\"x\"}", "4 {\"a\":\"2\",\"b\":\"z\"}"}));
    EXPECT_EQ(read(".jsonl", lines({"{\"a\":1}", "", "{\"a\":2}"})), (Lines{"1 {\"a\":1}", "3 {\"a\":2}"}));
    EXPECT_EQ(read(".txt", lines({"one", "", "two"})), (Lines{"1 {\"text\":\"one\"}", "3 {\"text\":\"two\"}"}));
    EXPECT_EQ(read(".txt", lines({"a", "b", "", "c"}), "\n\n"), (Lines{"1 {\"text\":\"a\\nb\"}", "4 {\"text\":\"c\"}"}))
        << "a separator of line ends, and ends inside a part";
  }
  EXPECT_EQ(read(".csv", "a,b\r\n1,2\n3,4\r5,6").size(), 3u) << "mixed";
  EXPECT_EQ(read(".txt", "one\rtwo\nthree\r\nfour"),
            (Lines{"1 {\"text\":\"one\"}", "2 {\"text\":\"two\"}", "3 {\"text\":\"three\"}", "4 {\"text\":\"four\"}"}));
  EXPECT_EQ(read(".csv", "a\r\"x\ry\"\r"), Lines{"2 {\"a\":\"x\\ry\"}"}) << "kept as it is in a quoted cell";
}

TEST(ByteOrderMarks, AreNoContentAndUtf16IsNamed) {
  for (const auto& [ending, text] :
       std::initializer_list<std::pair<const char*, std::string>>{{".json", "[{\"a\":\"1\"}]"},
                                                                  {".jsonl", "{\"a\":\"1\"}"},
                                                                  {".csv", "a\n1\n"},
                                                                  {".tsv", "a\n1\n"},
                                                                  {".txt", "1"}}) {
    EXPECT_EQ(read(ending, "\xEF\xBB\xBF" + text), read(ending, text)) << ending;
    EXPECT_EQ(read(ending, "\xFF\xFE" + text)[0], "error: is UTF-16 (by its byte order mark); save it as UTF-8")
        << ending;
  }
}

TEST(Csv, FollowsRfc4180) {
  EXPECT_EQ(read(".csv",
                 "\xEF\xBB\xBF"
                 "a,b\r\n\"x, \"\"y\"\"\",2\r\n\"two\nlines\",\r\n\r\n5,\"6\""),
            (Lines{"2 {\"a\":\"x, \\\"y\\\"\",\"b\":\"2\"}", "3 {\"a\":\"two\\nlines\",\"b\":\"\"}",
                   "6 {\"a\":\"5\",\"b\":\"6\"}"}));
  EXPECT_EQ(read(".csv", "a\n\"x\"\"\""), Lines{"2 {\"a\":\"x\\\"\"}"});
}

TEST(Csv, RejectsRowsThatDoNotFit) {
  EXPECT_EQ(read(".csv", "a,b\n1\n1,2,3\n\xFF,2\n1,2\n\"open,1\n"),
            (Lines{"2! has 1 columns, the header has 2", "3! has 3 columns, the header has 2", "4! is not valid UTF-8",
                   "5 {\"a\":\"1\",\"b\":\"2\"}", "6! a quoted cell is never closed"}));
  EXPECT_TRUE(read(".csv", "a,a\n1,2\n")[0].starts_with("error:1: the header names column \"a\" twice"));
  EXPECT_TRUE(read(".csv", "a,\n1,2\n")[0].starts_with("error:1: the header names column \"\""));
}

TEST(Tsv, HasNoQuotingAndTheLastColumnTakesTheRest) {
  EXPECT_EQ(
      read(".tsv", "label\ttext\r\nham\t\"quoted\" and\ttab\r\n\r\nspam\n"),
      (Lines{"2 {\"label\":\"ham\",\"text\":\"\\\"quoted\\\" and\\ttab\"}", "4! has 1 columns, the header has 2"}));
}

TEST(Txt, IsALineOrAPartEach) {
  EXPECT_EQ(read(".txt", "one\r\n\n  \ntwo\n\xC0\n"),
            (Lines{"1 {\"text\":\"one\"}", "4 {\"text\":\"two\"}", "5! is not valid UTF-8"}));
  EXPECT_EQ(read(".txt", "a\nb\n---\n\n\nc\n---\n", "---"), (Lines{"1 {\"text\":\"a\\nb\"}", "6 {\"text\":\"c\"}"}));
  EXPECT_EQ(read(".txt", "\xFF---", "---"), (Lines{"1! is not valid UTF-8"}));
}

TEST(AnyFile, IsToldByItsEnding) {
  EXPECT_TRUE(read(".xml", "")[0].starts_with("error: has no known ending"));
  EXPECT_TRUE(read(".parquet", "")[0].find("Parquet") != std::string::npos);
  for (const char* ending : {".jsonl", ".csv", ".tsv", ".txt"}) EXPECT_TRUE(read(ending, "").empty()) << ending;
}

// Files of several pieces, in which rows and separators lie across every place where they are cut.
class Pieces : public ::testing::Test {
 protected:
  // Up to 30 of these, one behind the other.
  std::string any_of(const std::vector<std::string>& parts) {
    std::string text;
    for (auto count = random_.below(30); count > 0; --count) text += parts[random_.below(parts.size())];
    return text;
  }
  static std::string record(std::int64_t line, const nlohmann::ordered_json& value) {
    return std::to_string(line) + " " + value.dump();
  }
  Random random_{7, Purpose::test};
};

TEST_F(Pieces, OfCsv) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string content = "a,b" + end;
    Lines expected;
    std::int64_t line = 2;
    while (content.size() < 600'000) {
      const std::string plain = any_of({"x", "y\"", " z"});
      const std::string quoted = any_of({"\"\"", ",", "word", end, "'"});
      if (plain.starts_with('"')) continue;
      content += plain + ",\"" + quoted + "\"" + end;
      std::string value = quoted;
      for (std::size_t at = 0; (at = value.find("\"\"", at)) != std::string::npos; ++at) value.erase(at, 1);
      expected.push_back(record(line, {{"a", plain}, {"b", value}}));
      line += 1;
      for (std::size_t at = 0; (at = quoted.find(end, at)) != std::string::npos; at += end.size()) ++line;
    }
    EXPECT_TRUE(read(".csv", content) == expected) << ::testing::PrintToString(end);
  }
}

TEST_F(Pieces, OfTsv) {
  std::string content = "\n a\tb\r\n";
  Lines expected;
  for (std::int64_t line = 3; content.size() < 600'000; ++line) {
    const std::string first = any_of({"x", "\"", " "}) + "1", second = any_of({"\t", "y", "\""}) + "2";
    content += first + "\t" + second + "\n";
    expected.push_back(record(line, {{" a", first}, {"b", second}}));
  }
  EXPECT_TRUE(read(".tsv", content) == expected);
}

TEST_F(Pieces, OfMarkedText) {
  for (const std::string mark : {"---", "\n\n", "<sep>"}) {
    const std::string content = any_of({"a"}) + [&] {
      std::string text;
      while (text.size() < 600'000) text += any_of({"-", "--", "\r\n", "\n", "\r", "<", "sep>", "w", mark});
      return text;
    }();
    std::string text = content;  // as one text
    for (std::size_t at = 0; (at = text.find('\r', at)) != std::string::npos;)
      text.replace(at, text.compare(at, 2, "\r\n") == 0 ? 2 : 1, "\n");
    Lines expected;
    for (std::size_t begin = 0, line = 1; begin < text.size();) {
      const std::size_t end = std::min(text.find(mark, begin), text.size());
      const std::size_t from = std::min(text.find_first_not_of('\n', begin), end);
      std::size_t to = end;
      while (to > from && text[to - 1] == '\n') --to;
      const auto feeds = [&](std::size_t a, std::size_t b) {
        return static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(a),
                                                   text.begin() + static_cast<std::ptrdiff_t>(b), '\n'));
      };
      if (to > from)
        expected.push_back(
            record(static_cast<std::int64_t>(line + feeds(begin, from)), {{"text", text.substr(from, to - from)}}));
      const std::size_t next = std::min(end + mark.size(), text.size());
      line += feeds(begin, next);
      begin = next;
    }
    EXPECT_TRUE(read(".txt", content, mark) == expected) << ::testing::PrintToString(mark);
  }
}

// Pieces have a length that is a power of two, so each ends with a CR.
TEST_F(Pieces, EndWithHalfALineEnd) {
  std::string content, expected = "a";
  for (int i = 0; i < 150'000; ++i) content += "a\r";
  for (int i = 1; i < 150'000; ++i) expected += "\na";
  EXPECT_TRUE(read(".txt", content, "---") == Lines{record(1, {{"text", expected}})});
  EXPECT_EQ(read(".txt", content).size(), 150'000u);
  std::string rows;
  for (int i = 0; i < 75'000; ++i) rows += "ab\r\n";
  EXPECT_EQ(read(".txt", rows).size(), 75'000u);
  EXPECT_EQ(read(".csv", rows).size(), 74'999u);
  EXPECT_EQ(read(".tsv", "x" + rows).size(), 74'999u);
}

}  // namespace
}  // namespace finetune::testing
