#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace finetune {

static winsize size_of(int descriptor) {
  winsize size = {};
  if (isatty(descriptor) == 0 || ioctl(descriptor, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

std::size_t terminal_columns(int descriptor) {
  return size_of(descriptor).ws_col;
}

std::size_t terminal_rows(int descriptor) {
  return size_of(descriptor).ws_row;
}

}  // namespace finetune
