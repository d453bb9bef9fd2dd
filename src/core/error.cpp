#include "core/error.h"

namespace finetune {
namespace {

// Errors are printed as one line; whatever came from a file must not break it.
std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

std::string placed(std::string_view where, std::string_view message) {
  return where.empty() ? one_line(message) : one_line(where) + ": " + one_line(message);
}

}  // namespace

Error::Error(ErrorKind kind, std::string_view where, std::string_view message)
    : std::runtime_error(placed(where, message)), kind_(kind), where_(where), message_(message) {}

Error Error::at(std::string_view place) const {
  return where_.empty() ? Error(kind_, place, message_) : *this;
}

int exit_code(ErrorKind kind) {
  return kind == ErrorKind::bad_input ? 2 : kind == ErrorKind::failed ? 1 : 130;
}

Error bad_input(std::string_view where, std::string_view message) {
  return Error(ErrorKind::bad_input, where, message);
}

Error failed(std::string_view where, std::string_view message) {
  return Error(ErrorKind::failed, where, message);
}

}  // namespace finetune
