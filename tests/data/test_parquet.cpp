// Parquet beside the JSON lines that say the same (tests/golden/parquet.py wrote both), damaged files, and builds
// without the reader.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "data/reader.h"
#include "support/places.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<std::string>;

fs::path golden(const std::string& name) {
  return fs::path(source_dir()) / "tests/golden/parquet" / name;
}

// "LINE RECORD", "LINE! REASON", and "error ..." behind the path.
Rows rows_of(const fs::path& path) {
  Rows rows;
  try {
    read_records(
        path.string(), "", {},
        {[&](const Record& record) { rows.push_back(std::to_string(record.line) + " " + record.value.dump()); },
         [&](std::int64_t line, const std::string& reason) { rows.push_back(std::to_string(line) + "! " + reason); }});
  } catch (const Error& error) {
    rows.push_back("error " + std::string(error.what()).substr(path.string().size()));
  }
  return rows;
}

class Parquet : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(fs::path(build_dir()) / "libfinetune_parquet.so"))
      GTEST_SKIP() << "this build has no reader of Parquet; setup.sh --parquet";
  }
  // What reading a file of these bytes gives.
  Rows read_bytes(const std::string& bytes) const {
    const fs::path path = fs::temp_directory_path() / ("finetune_" + std::to_string(getpid()) + ".parquet");
    std::ofstream(path, std::ios::binary) << bytes;  // a thousand times: it need not reach the disk
    const Rows rows = rows_of(path);
    fs::remove(path);
    return rows;
  }
};

TEST_F(Parquet, EveryTypeIsWhatItIsInJsonLines) {
  const Rows rows = rows_of(golden("kinds.parquet"));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows, rows_of(golden("kinds.jsonl")));
}

TEST_F(Parquet, RowGroupsAreNumberedThrough) {
  const Rows rows = rows_of(golden("chats.parquet"));
  ASSERT_EQ(rows.size(), 12u);
  EXPECT_EQ(rows, rows_of(golden("chats.jsonl")));
}

TEST_F(Parquet, BytesThatAreNoTextRejectTheirRow) {
  EXPECT_EQ(rows_of(golden("bytes.parquet")),
            (Rows{R"(1 {"text":"a","image":"text"})", "2! column image holds bytes that are no UTF-8 text"}));
}

TEST_F(Parquet, ATruncatedFileIsNamed) {
  const std::string bytes = read_file(golden("chats.parquet"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, bytes.size() / 2, bytes.size() - 1}) {
    const Rows rows = read_bytes(bytes.substr(0, size));
    ASSERT_EQ(rows.size(), 1u) << size;
    EXPECT_TRUE(rows[0].starts_with("error : is no Parquet file, or a damaged one: ")) << rows[0];
  }
}

// The footer is whole, so the damage is found at the row group it is in.
TEST_F(Parquet, DamageWithinNamesTheRowsFromWhichOn) {
  std::string bytes = read_file(golden("chats.parquet"));
  const std::size_t begin = bytes.find("8 + 1?");  // of the second group of five rows
  ASSERT_NE(begin, std::string::npos);
  for (std::size_t i = begin - 60; i < begin + 20; ++i) bytes[i] = '\xff';
  const Rows rows = read_bytes(bytes);
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_TRUE(rows[5].starts_with("error :6: rows from here on (row group 2 of 3) cannot be read: ")) << rows[5];
}

TEST_F(Parquet, GoesThroughDamageAnywhereWithoutACrash) {
  const std::string whole = read_file(golden("kinds.parquet"));
  for (std::size_t at = 4; at + 8 < whole.size(); at += 11) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(~bytes[at]);
    read_bytes(bytes);
  }
}

}  // namespace
}  // namespace finetune::testing
