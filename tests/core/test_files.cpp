// Files, JSON and text as they come from outside.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "core/text.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / ("finetune_files_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

template <typename Work>
std::string message_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Files, AppearWholeOrNotAtAll) {
  const fs::path path = folder_ / "a";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("half of the n");
    EXPECT_EQ(read_file(path), "old");
  }  // never committed
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(count(), 1u);
  AtomicFile file(path);
  file.write("ne");
  file.write("w");
  file.commit();
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(count(), 1u);
}

TEST_F(Files, SayWhatIsWrong) {
  EXPECT_TRUE(holds(message_of([&] { read_file(folder_ / "none"); }), "none: cannot be opened: No such file"));
  EXPECT_TRUE(holds(message_of([&] { read_file(folder_); }), "is not a regular file"));
  write_file_atomically(folder_ / "big", "12345");
  EXPECT_TRUE(holds(message_of([&] { read_file(folder_ / "big", 4); }), "larger than 4 bytes"));
  EXPECT_TRUE(holds(message_of([&] { write_file_atomically(folder_ / "no" / "file", ""); }), "cannot be created"));
}

TEST_F(Files, BeginAgainWhereSomebodyWaits) {
  // What a killed process of this number left, longer than what comes; a link in its place leads nowhere.
  write_file_atomically(folder_ / "precious", "1");
  const fs::path left = folder_ / ("b.tmp" + std::to_string(getpid()));
  fs::create_symlink("precious", left);
  write_file_atomically(folder_ / "b", "new");
  EXPECT_EQ(read_file(folder_ / "b"), "new");
  EXPECT_EQ(read_file(folder_ / "precious"), "1");
  fs::create_symlink("precious", folder_ / "c");
  write_file_atomically(folder_ / "c", "2");
  EXPECT_FALSE(fs::is_symlink(folder_ / "c")) << "a link under the name itself is replaced";
  EXPECT_EQ(read_file(folder_ / "precious"), "1");
  // Where nobody may make a file, whoever they are; what cannot go away is nobody's to wait for.
  int asked = 0;
  const OnDiskFault twice = [&](const DiskFault&) { return ++asked < 3; };
  if (fs::is_directory("/sys/kernel")) {
    EXPECT_TRUE(holds(message_of([&] { write_file_atomically("/sys/kernel/x", "", twice); }), "cannot be created"));
    EXPECT_EQ(asked, 3);
  }
  asked = 0;
  EXPECT_NE(message_of([&] { write_file_atomically(folder_ / "no" / "file", "", twice); }), "");
  EXPECT_EQ(asked, 0);
}

TEST(Utf8, IsStrict) {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good));
  }
  // Overlong forms, surrogates, beyond U+10FFFF, lone and missing continuation bytes.
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC2", "\xE1\x80", "\xF1\x80\x80",
        "\xC2"
        "a"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(StrictJson, RefusesWhatParsersLetPass) {
  const auto error = [](const std::string& text) { return message_of([&] { parse_strict_json("f", text, 8); }); };
  EXPECT_TRUE(holds(error(R"({"a": 1, "b": {"a": 2}, "a": 3})"), "key \"a\" is repeated"));
  EXPECT_TRUE(holds(error(R"({"a": 1, "\u0061": 3})"), "key \"a\" is repeated"));
  EXPECT_TRUE(holds(error("[[[[[[[[[]]]]]]]]]"), "nested deeper than 8"));
  EXPECT_EQ(error("[[[[[[[[]]]]]]]]"), "");
  EXPECT_TRUE(holds(error("{} {}"), "is not valid JSON at byte"));
  EXPECT_TRUE(holds(error(std::string("{}\0x", 4)), "NUL"));
  EXPECT_TRUE(holds(error("\"\\ud800\""), "is not valid JSON"));
  EXPECT_TRUE(holds(error("\"\xED\xA0\x80\""), "UTF-8"));
  for (const char* text : {"", " ", "nan", "[1,]", "{'a': 1}", "[01]", "[1] // no", "{\"a\"}", "\"a\nb\"", "[+1]"}) {
    EXPECT_NE(error(text), "") << text;
  }
  EXPECT_NE(error("[1e999]"), "");
}

TEST(StrictJson, KeepsOrderAndValues) {
  const auto json = parse_strict_json("f", R"({"z": 1, "a": {"y": -2, "b": 1.5}, "m": ["\ud83d\ude42", null, true]})");
  EXPECT_EQ(json.dump(), "{\"z\":1,\"a\":{\"y\":-2,\"b\":1.5},\"m\":[\"\xF0\x9F\x99\x82\",null,true]}");
}

TEST(ErrorMessage, IsOneLine) {
  EXPECT_STREQ(bad_input("a\nb:3", "tab\there\x1b[0m").what(), "a b:3: tab here [0m");
  EXPECT_STREQ(bad_input("", "no place").what(), "no place");
  EXPECT_EQ(failed("", "x").kind(), ErrorKind::failed);
}

TEST(Text, NamesTheNearest) {
  const std::vector<std::string> names{"learning_rate", "weight_decay", "steps"};
  EXPECT_EQ(nearest_name("learning_rat", names), "learning_rate");
  EXPECT_EQ(nearest_name("Weight_Decya", names), "weight_decay");
  EXPECT_EQ(nearest_name("decay", names), "weight_decay");
  EXPECT_EQ(nearest_name("colour", names), "");
  EXPECT_EQ(did_you_mean("step", names), " (did you mean steps?)");
}

TEST(Text, SmallHelpers) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(-123), "-123");
  EXPECT_EQ(with_commas(-1234567), "-1,234,567");
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

}  // namespace
}  // namespace finetune::testing
