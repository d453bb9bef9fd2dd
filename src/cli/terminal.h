// The terminal that a stream goes to.
#pragma once

#include <cstddef>

namespace finetune {

/// Columns of the terminal behind a file descriptor; 0: it is none, or does not say.
std::size_t terminal_columns(int descriptor);
/// Rows likewise.
std::size_t terminal_rows(int descriptor);

}  // namespace finetune
