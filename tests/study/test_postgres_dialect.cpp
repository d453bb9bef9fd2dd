// What statements and tables are called in PostgreSQL, and what addresses show of themselves.
#include <gtest/gtest.h>

#include "core/database_url.h"
#include "study/optuna_schema.h"
#include "study/postgres_dialect.h"
#include "study/save_rows.h"

namespace finetune::testing {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PostgresDialect, NumbersValuesAndLeavesTextsAlone) {
  EXPECT_EQ(postgres_statement("SELECT a FROM b WHERE c = ?1 AND d = ?12"), "SELECT a FROM b WHERE c = $1 AND d = $12");
  EXPECT_EQ(postgres_statement("SELECT '?1', \"?2\", ?3"), "SELECT '?1', \"?2\", $3");
  EXPECT_EQ(postgres_statement("SELECT rowid, a FROM b"), "SELECT row_number() OVER (), a FROM b");
}

TEST(PostgresDialect, MakesOptunasTypes) {
  const std::string schema = postgres_schema(kOptunaSchema);
  for (const char* part :
       {"  trial_id SERIAL NOT NULL,\n  number INTEGER", "state trialstate NOT NULL",
        "  direction studydirection NOT NULL", "  value_type trialvaluetype NOT NULL",
        "  intermediate_value_type trialintermediatevaluetype NOT NULL", "heartbeat TIMESTAMP NOT NULL",
        "CREATE TYPE trialstate AS ENUM", "  study_id INTEGER NOT NULL,\n  objective"})
    EXPECT_TRUE(holds(schema, part)) << part;
  EXPECT_FALSE(holds(schema, "DATETIME"));
  EXPECT_TRUE(holds(postgres_schema(kOwnSchema), "  save_id SERIAL NOT NULL"));
  EXPECT_FALSE(holds(postgres_schema(kOwnSchema), "ENUM"));
}

TEST(DatabaseUrl, ShowsNoPassword) {
  const std::pair<const char*, const char*> cases[] = {
      {"postgresql://host/db", "postgresql://host/db"},
      {"postgresql://me@host/db", "postgresql://me@host/db"},
      {"postgresql://me:secret@host:5433/db", "postgresql://me@host:5433/db"},
      {"postgres://me:se:cr?et@a,b/db?sslmode=require", "postgres://me@a,b/db?sslmode=require"},
      {"postgresql:///db?host=/tmp/x&password=secret&user=me", "postgresql:///db?host=/tmp/x&user=me"},
      {"postgresql:///db?p%61ssword=secret", "postgresql:///db"},
      {"runs/a/study.db", "runs/a/study.db"}};
  for (const auto& [url, shown] : cases) EXPECT_EQ(without_password(url), shown);
}

TEST(DatabaseUrl, IsRefusedWhereItCouldShowOne) {
  for (const char* url :
       {"postgresql://me:se/cret@host/db", "postgresql://me:s/?ecret@host/db", "postgresql://host",
        "postgresql://host/", "mysql://host/db", "postgresql://host/d b", "postgresql://host/db?secret"})
    EXPECT_NE(url_problem(url), "") << url;
  for (const char* url : {"postgresql://host/db", "postgres://me:a%40b@host:1/db?sslmode=require",
                          "postgresql:///?dbname=db&host=/tmp", "postgresql://me:s?x@host/db"})
    EXPECT_EQ(url_problem(url), "") << url;
}

TEST(DatabaseUrl, TakesAParameterOnce) {
  EXPECT_EQ(with_parameter("postgresql://h/d", "a", "1"), "postgresql://h/d?a=1");
  EXPECT_EQ(with_parameter("postgresql://h/d?b=2", "a", "1"), "postgresql://h/d?b=2&a=1");
  EXPECT_EQ(with_parameter("postgresql://h/d?a=2", "a", "1"), "postgresql://h/d?a=2");
}

}  // namespace
}  // namespace finetune::testing
