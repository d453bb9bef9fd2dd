#include "core/error.h"

namespace finetune {
namespace {

// Errors are printed as one line; whatever came from a file must not break it.
std::string one_line(std::string_view where, std::string_view what) {
  std::string text(where);
  if (!text.empty()) text += ": ";
  text += what;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

Error bad_input(std::string_view where, std::string_view what) {
  return Error(ErrorKind::bad_input, one_line(where, what));
}

Error failed(std::string_view where, std::string_view what) {
  return Error(ErrorKind::failed, one_line(where, what));
}

}  // namespace finetune
