// The quick reader of report lines beside the strict one: what it accepts, the strict one reads alike.
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "core/strict_json.h"
#include "tuners/asktell/report_line.h"
#include "tuners/asktell/requests.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

std::optional<std::vector<ReportEntry>> strictly(const std::string& line) {
  try {
    const Json request = parse_strict_json("", line, 8);
    if (!request.is_object() || request.size() != 1 || request.begin().key() != "report") return std::nullopt;
    return read_entries(request.begin().value());
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string bits(const std::vector<ReportEntry>& entries) {
  std::string text;
  for (const ReportEntry& entry : entries) {
    std::uint64_t value = 0;
    std::memcpy(&value, &entry.value, sizeof value);
    if (entry.value != entry.value) value = 1;  // one NaN is as good as another
    text += std::to_string(entry.id) + "/" + std::to_string(entry.step) + "/" + std::to_string(value) + " ";
  }
  return text;
}

TEST(ReportLine, ReadsWhatPeopleSend) {
  ReportLineReader reader;
  for (
      const std::string line :
      {R"({"report":[{"id":0,"step":1,"value":0.4},{"id":12,"step":100,"value":-3e-2}]})",
       R"({"report" : [ {"value": 7, "step": 3, "id": 5} ] })", R"({"report":[]})",
       R"({"report":[{"id":0,"step":1,"value":"nan"},{"id":1,"step":1,"value":"-inf"},{"id":2,"step":1,"value":"inf"}]})",
       R"({"report":[{"id":0,"step":1,"value":123456789012345678901234567890}]})",
       R"({"report":[{"id":0,"step":1,"value":0.1234567890123456789}]})"}) {
    const auto* entries = reader.read(line);
    ASSERT_NE(entries, nullptr) << line;
    EXPECT_EQ(bits(*entries), bits(*strictly(line))) << line;
  }
}

TEST(ReportLine, LeavesTheRestToTheStrictReader) {
  ReportLineReader reader;
  for (const std::string line : {"",
                                 "{}",
                                 "[]",
                                 R"({"ask":1})",
                                 R"({"report":1})",
                                 R"({"report":[1]})",
                                 R"({"report":[{"id":0,"step":1}]})",
                                 R"({"report":[{"id":0,"step":1,"value":NaN}]})",
                                 R"({"report":[{"id":0,"step":1,"value":1e999}]})",
                                 R"({"report":[{"id":0,"id":0,"step":1,"value":1}]})",
                                 R"({"report":[{"id":0,"step":1,"value":1,"note":2}]})",
                                 R"({"report":[{"id":0,"step":1.0,"value":1}]})",
                                 R"({"report":[{"id":0,"step":1,"value":1}]} x)",
                                 R"({"report":[{"id":0,"step":1,"value":1}],"ask":1})",
                                 R"({"report":[{"id":0,"step":1,"value":1}])",
                                 R"({"report":[{"id":0,"step":1,"value":1}],"report":[]})",
                                 R"({"report":[{"id":0,"step":1,"value":01}]})",
                                 R"({"report":[{"id":0,"step":1,"value":[[[[[[[[1]]]]]]]]}]})",
                                 R"({"report":[{"id":-1,"step":1,"value":1}]})",
                                 R"({"report":[{"id":0,"step":1,"value":1},]})",
                                 R"({"report":[{"id":0,"step":99999999999999999999,"value":1}]})"})
    EXPECT_EQ(reader.read(line), nullptr) << line;
}

// Damage of every kind; whatever still reads must read alike.
TEST(ReportLine, NeverReadsWhatTheStrictReaderDoesNot) {
  const std::string good = R"({"report":[{"id":3,"step":17,"value":-1.5e-3},{"value":"nan","id":4,"step":2}]})";
  const std::string bytes = "{}[]\",:0123456789.-+eEnaif \t\\u\x01\x80\xc3";
  Random random(5, Purpose::test);
  ReportLineReader reader;
  int read = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string line = good;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(line.size());
      const char byte = bytes[random.below(bytes.size())];
      const std::uint64_t kind = random.below(3);
      if (kind == 0) line[at] = byte;
      if (kind == 1) line.insert(at, 1, byte);
      if (kind == 2) line.erase(at, 1 + random.below(4));
    }
    const auto* entries = reader.read(line);
    if (entries == nullptr) continue;
    ++read;
    const auto expected = strictly(line);
    ASSERT_TRUE(expected.has_value()) << line;
    ASSERT_EQ(bits(*entries), bits(*expected)) << line;
  }
  EXPECT_GT(read, 1000) << "digits and spaces are changed without harm";
}

}  // namespace
}  // namespace finetune::testing
