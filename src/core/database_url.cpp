#include "core/database_url.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace finetune {
namespace {

// postgresql://user:password@hosts/database?name=value&...#study, cut at the marks that libpq cuts at.
struct Parts {
  std::string_view scheme, user, rest, query;
  bool has_user = false, has_query = false;
};

Parts parts_of(std::string_view url) {
  Parts parts;
  const std::size_t begin = url.find("://") + 3;
  parts.scheme = url.substr(0, begin);
  std::string_view body = url.substr(begin);
  if (const auto at = body.find_first_of("@/"); at != std::string_view::npos && body[at] == '@') {
    parts.has_user = true;
    parts.user = body.substr(0, at);
    body = body.substr(at + 1);
  }
  const std::size_t mark = body.find('?');
  parts.rest = body.substr(0, mark);
  parts.has_query = mark != std::string_view::npos;
  if (parts.has_query) parts.query = body.substr(mark + 1);
  return parts;
}

std::vector<std::string_view> parameters(std::string_view query) {
  std::vector<std::string_view> list;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    list.push_back(query.substr(0, end));
    query = query.substr(std::min(end + 1, query.size()));
  }
  return list;
}

// Names may be percent-encoded too.
std::string name_of(std::string_view parameter) {
  const std::string_view name = parameter.substr(0, parameter.find('='));
  std::string plain;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto hex = [&](std::size_t at) {
      return at < name.size() && std::isxdigit(static_cast<unsigned char>(name[at]));
    };
    if (name[i] == '%' && hex(i + 1) && hex(i + 2)) {
      plain += static_cast<char>(std::stoi(std::string(name.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      plain += name[i];
    }
  }
  return plain;
}

bool is_secret(std::string_view parameter) {
  const std::string name = name_of(parameter);
  return name == "password" || name == "sslpassword";
}

}  // namespace

bool is_database_url(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

std::string without_password(std::string_view text) {
  if (!is_database_url(text)) return std::string(text);
  const Parts parts = parts_of(text);
  std::string shown(parts.scheme);
  if (parts.has_user) shown.append(parts.user.substr(0, parts.user.find(':'))).append("@");
  shown += parts.rest;
  char mark = '?';
  for (const std::string_view parameter : parameters(parts.query)) {
    if (is_secret(parameter)) continue;
    shown.append(1, mark).append(parameter);
    mark = '&';
  }
  return shown;
}

std::string url_problem(std::string_view text) {
  if (!is_database_url(text)) return "is no address of a PostgreSQL database; it begins with postgresql://";
  const Parts parts = parts_of(text);
  // libpq looks for the end of the password at the first of these, so what follows would be taken for a host and shown.
  const auto is_odd = [](auto parameter) {
    return name_of(parameter).find_first_of("@/=:") != std::string::npos ||
           parameter.find('=') == std::string_view::npos;
  };
  if (parts.rest.find('@') != std::string_view::npos || std::ranges::any_of(parameters(parts.query), is_odd))
    return "cannot be read; in a user's name or password @ is written %40, / %2F, ? %3F and & %26";
  if (std::ranges::any_of(text, [](unsigned char c) { return c <= ' '; }))
    return "has a space or a control character; such are written %20 and so on";
  const std::size_t slash = parts.rest.find('/');
  const bool named = std::ranges::any_of(parameters(parts.query), [](auto p) { return name_of(p) == "dbname"; });
  if (!named && (slash == std::string_view::npos || slash + 1 == parts.rest.size()))
    return "names no database; it ends with /NAME";
  return "";
}

std::string with_parameter(const std::string& url, std::string_view name, std::string_view value) {
  const Parts parts = parts_of(url);
  for (const std::string_view parameter : parameters(parts.query)) {
    if (name_of(parameter) == name) return url;
  }
  const std::string mark = !parts.has_query ? "?" : parts.query.empty() ? "" : "&";
  return url + mark + std::string(name) + "=" + std::string(value);
}

}  // namespace finetune
