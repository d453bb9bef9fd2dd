// The wrapper over SQLite: values, transactions as others see them, and errors.
#include <gtest/gtest.h>

#include <thread>

#include "models/model_files.h"
#include "study/database.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class DatabaseFile : public ::testing::Test {
 protected:
  DatabaseFile() { database_.execute("CREATE TABLE things (name TEXT UNIQUE, size)"); }
  void insert(const std::string& name) { database_.run("INSERT INTO things (name) VALUES (?1)", {name}); }
  std::int64_t count(Database& database) {
    return std::get<std::int64_t>(database.run("SELECT count(*) FROM things")[0][0]);
  }
  TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "study.db";
  Database database_{file_};
};

TEST_F(DatabaseFile, ValuesComeBackAsTheyWereWhateverIsInThem) {
  const std::vector<SqlValue> values{
      std::monostate{},       std::int64_t{1} << 62,      -0.1, 1e300, "", "'); DROP TABLE things; --",
      std::string("a\0b", 3), "\xc3\xa9 \xf0\x9f\x98\x80"};
  for (const SqlValue& value : values) {
    const auto rows = database_.run("SELECT ?1, ?2", {value, "second"});
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0], (SqlRow{value, "second"}));
  }
  insert("'); DROP TABLE things; --");
  EXPECT_EQ(count(database_), 1);
}

TEST_F(DatabaseFile, AValueThatIsLeftOutIsNullAndNotThatOfTheCallBefore) {
  for (int call = 0; call < 2; ++call) {
    const auto rows = call == 0 ? database_.run("SELECT ?1", {"before"}) : database_.run("SELECT ?1");
    EXPECT_EQ(rows[0][0], call == 0 ? SqlValue("before") : SqlValue());
  }
}

TEST_F(DatabaseFile, AStatementThatFailedIsUsedAgain) {
  insert("a");
  const std::string error = error_of([&] { insert("a"); }, ErrorKind::failed);
  EXPECT_TRUE(holds(error, file_.string()));
  EXPECT_TRUE(holds(error, "UNIQUE"));
  insert("b");
  EXPECT_EQ(count(database_), 2);
}

TEST_F(DatabaseFile, ATransactionIsSeenWholeOrNotAtAll) {
  Database reader(file_);
  {
    Transaction transaction(database_);
    insert("a");
    insert("b");
    EXPECT_EQ(count(reader), 0);
    transaction.commit();
  }
  EXPECT_EQ(count(reader), 2);
  {
    const Transaction undone(database_);
    insert("c");
  }
  EXPECT_EQ(count(database_), 2);
}

TEST_F(DatabaseFile, AReaderAndAWriterDoNotWaitForEachOther) {
  Database reader(file_, std::chrono::milliseconds(0));
  reader.execute("BEGIN");
  EXPECT_EQ(count(reader), 0);
  insert("a");
  EXPECT_EQ(count(reader), 0) << "what it sees stays as it was";
  reader.execute("COMMIT");
  EXPECT_EQ(count(reader), 1);
}

TEST_F(DatabaseFile, AnotherWriterIsWaitedForAndNotForEver) {
  Database other(file_, std::chrono::milliseconds(20));
  {
    Transaction transaction(database_);
    EXPECT_TRUE(holds(error_of([&] { Transaction second(other); }, ErrorKind::failed), "locked"));
  }
  other.execute("BEGIN IMMEDIATE");
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    other.execute("COMMIT");
  });
  EXPECT_NO_THROW(insert("a"));
  later.join();
}

TEST_F(DatabaseFile, ClosedItIsOneFile) {
  const fs::path file = folder_.path() / "closed.db";
  {
    Database database(file);
    database.execute("CREATE TABLE things (name)");
    EXPECT_TRUE(fs::exists(file.string() + "-wal"));
  }
  EXPECT_FALSE(fs::exists(file.string() + "-wal"));
  EXPECT_FALSE(fs::exists(file.string() + "-shm"));
}

TEST(Database, WhatCannotBeOpenedIsNamed) {
  const TemporaryFolder folder;
  write_text(folder.path() / "damaged.db", "SQLite format 3" + std::string(4096, 'x'));
  write_text(folder.path() / "text.db", std::string(4096, 'x'));
  const std::vector<std::pair<fs::path, std::string>> table{
      {folder.path() / "damaged.db", "not a database"},
      {folder.path() / "text.db", "not a database"},
      {folder.path() / "missing" / "study.db", "No such file or directory"},
      {folder.path(), "directory"},
      {"/proc/study.db", "No such file or directory"}};  // a folder that not even the superuser can write
  for (const auto& entry : table) {
    const auto& file = entry.first;
    const auto& why = entry.second;
    const std::string error = error_of([&] { Database database(file); }, ErrorKind::failed);
    EXPECT_TRUE(error.starts_with(file.string() + ": cannot be read or written")) << error;
    EXPECT_TRUE(holds(error, why));
  }
}

}  // namespace
}  // namespace finetune::testing
