// Addresses of PostgreSQL databases, which may hold a password. Whatever is shown or written is `without_password`.
// Source: https://www.postgresql.org/docs/15/libpq-connect.html, "Connection URIs".
#pragma once

#include <string>
#include <string_view>

namespace finetune {

/// postgresql:// or postgres://.
bool is_database_url(std::string_view text);

/// The address without its password (postgresql://me:secret@host/db, ?password=secret, ?sslpassword=secret); any other
/// text as it is.
std::string without_password(std::string_view text);

/// What is wrong with an address, for people; "" where nothing is. It does not repeat the address.
std::string url_problem(std::string_view text);

/// The address with a parameter, unless it gives that itself. `value` is percent-encoded already.
std::string with_parameter(const std::string& url, std::string_view name, std::string_view value);

}  // namespace finetune
