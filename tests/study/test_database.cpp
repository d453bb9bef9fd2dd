// The wrapper over SQLite: values, transactions as others see them, and errors.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "models/model_files.h"
#include "study/database.h"
#include "study/database_guard.h"

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
  Database reader(file_, Access::create, std::chrono::milliseconds(0));
  reader.execute("BEGIN");
  EXPECT_EQ(count(reader), 0);
  insert("a");
  EXPECT_EQ(count(reader), 0) << "what it sees stays as it was";
  reader.execute("COMMIT");
  EXPECT_EQ(count(reader), 1);
}

TEST_F(DatabaseFile, AnotherWriterIsWaitedForAndNotForEver) {
  Database other(file_, Access::create, std::chrono::milliseconds(20));
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

// What a stranger's file may hold and may not do. It is written by a Database of our own, as a stranger could.
class StrangersFile : public ::testing::Test {
 protected:
  void write(Sql script) { Database(file_).execute(script); }
  std::string refusal(Access access = Access::read) {
    return error_of([&] { Database database(file_, access); }, ErrorKind::bad_input);
  }
  std::set<std::string> folder() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.insert(entry.path().filename().string());
    return names;
  }
  TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "a #%? file.db";
};

TEST_F(StrangersFile, IsReadAndItsFolderStaysAsItWas) {
  write("CREATE TABLE things (name); INSERT INTO things VALUES ('a')");
  {
    Database reader(file_, Access::read);
    EXPECT_EQ(reader.run("SELECT name FROM things"), (std::vector<SqlRow>{{"a"}}));
    EXPECT_TRUE(holds(error_of([&] { reader.run("DELETE FROM things"); }, ErrorKind::bad_input), "readonly"));
  }
  EXPECT_EQ(folder(), std::set<std::string>{"a #%? file.db"});
  EXPECT_TRUE(reading_uri(file_).ends_with("/a%20%23%25%3f%20file%2edb?immutable=1")) << "also where nobody may write";
}

TEST_F(StrangersFile, IsReadWithItsLogWhileSomebodyWrites) {
  Database writer(file_);
  writer.execute("CREATE TABLE things (name); INSERT INTO things VALUES ('a')");
  ASSERT_GT(fs::file_size(file_.string() + "-wal"), 0u);
  EXPECT_TRUE(reading_uri(file_).ends_with("db"));
  Database reader(file_, Access::read);
  EXPECT_EQ(reader.run("SELECT count(*) FROM things")[0][0], SqlValue(std::int64_t{1}));
  const Transaction writing(writer);
  EXPECT_EQ(reader.run("SELECT count(*) FROM things")[0][0], SqlValue(std::int64_t{1}));
}

TEST_F(StrangersFile, RunsNothingOfItsOwn) {
  write(
      "CREATE TABLE things (name); CREATE TABLE copies (name); CREATE VIEW seen AS SELECT name FROM things;"
      "CREATE TRIGGER copy AFTER INSERT ON things BEGIN INSERT INTO copies VALUES (new.name); END");
  Database database(file_, Access::resume);
  database.run("INSERT INTO things VALUES ('a')");
  EXPECT_EQ(database.run("SELECT count(*) FROM copies")[0][0], SqlValue(std::int64_t{0}));
  EXPECT_TRUE(holds(error_of([&] { database.run("SELECT name FROM seen"); }, ErrorKind::bad_input), "prohibited"));
}

TEST_F(StrangersFile, IsNotMendedByAReader) {
  Database writer(file_);
  writer.execute(
      "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; CREATE TABLE things (name);"
      "INSERT INTO things VALUES (hex(zeroblob(50000)))");
  const Transaction writing(writer);
  writer.execute("UPDATE things SET name = hex(randomblob(50000)); UPDATE things SET name = hex(randomblob(50000))");
  const fs::path copy = folder_.path() / "copy.db";
  fs::copy(file_, copy);
  fs::copy(file_.string() + "-journal", copy.string() + "-journal");
  EXPECT_EQ(error_of([&] { Database reader(copy, Access::read); }, ErrorKind::bad_input),
            copy.string() + ": cannot be read: a write was cut off; whoever wrote it mends it by opening it once");
}

TEST_F(StrangersFile, CannotAskForAnyWork) {
  write("CREATE TABLE things (name)");
  Database reader(file_, Access::read);
  const std::string error = error_of(
      [&] { reader.run("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"); },
      ErrorKind::bad_input);
  EXPECT_EQ(error, file_.string() + ": cannot be read: it asks for more work than a file of its size should");
}

TEST_F(StrangersFile, IsCheckedWhole) {
  write("CREATE TABLE things (name); INSERT INTO things VALUES (hex(zeroblob(20000)))");
  EXPECT_NO_THROW(Database(file_, Access::read));
  std::fstream(file_, std::ios::in | std::ios::out | std::ios::binary).seekp(4096).write("\xff\xff\xff\xff", 4);
  for (const Access access : {Access::read, Access::resume})
    EXPECT_TRUE(refusal(access).starts_with(file_.string() + ": is damaged: ")) << refusal(access);
}

TEST_F(StrangersFile, MustBeThereAndBeAFile) {
  for (const Access access : {Access::read, Access::resume}) {
    EXPECT_EQ(refusal(access), file_.string() + ": does not exist");
    const std::string folder = error_of([&] { Database d(folder_.path(), access); }, ErrorKind::bad_input);
    EXPECT_EQ(folder, folder_.path().string() + ": is not a file");
  }
  write_text(file_, std::string(4096, 'x'));
  EXPECT_EQ(refusal(), file_.string() + ": cannot be read: file is not a database");
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
