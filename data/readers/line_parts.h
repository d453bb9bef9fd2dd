// A file of lines, in parts of whole lines.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace finetune {

struct LinePart {
  std::shared_ptr<const std::string> text;
  std::int64_t first_line = 1;
};

/// Reads a file piece by piece. Where it is cut depends on its content alone, so parts are the same on every machine.
class LineParts {
 public:
  /// Throws Error (bad_input) naming the path.
  explicit LineParts(std::string path);

  /// The next part, without a byte order mark; false at the end. Throws Error (bad_input).
  bool next(LinePart& part);

 private:
  bool read_piece();

  std::string path_;
  std::shared_ptr<void> file_;
  std::string rest_;  // read and not given
  std::int64_t line_ = 1;
  bool begun_ = false, ended_ = false;
};

}  // namespace finetune
