// What stands in place of PostgreSQL in a build without libpqxx, compiled in every build.
#include <gtest/gtest.h>

#include "core/error.h"
#include "study/sql_connection.h"

namespace finetune::testing {
namespace {

TEST(NoPostgres, AnAddressIsRefusedWithWhatIsMissingAndWithoutItsPassword) {
  try {
    open_postgres("postgresql://me:secret@host/db", Access::create);
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    EXPECT_EQ(std::string(error.what()),
              "postgresql://me@host/db: this build has no PostgreSQL; install libpqxx-dev and run ./setup.sh again");
  }
}

}  // namespace
}  // namespace finetune::testing
