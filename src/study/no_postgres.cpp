#include "core/database_url.h"
#include "core/error.h"
#include "study/sql_connection.h"

namespace finetune {

std::unique_ptr<SqlConnection> open_postgres(const std::string& url, Access) {
  throw bad_input(without_password(url), "this build has no PostgreSQL; install libpqxx-dev and run ./setup.sh again");
}

}  // namespace finetune
