// A file of records, in parts of whole ones.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace finetune {

struct FileText {
  std::shared_ptr<const std::string> text;
  std::int64_t first_line = 1;
};

/// How many bytes at the beginning of a text are whole records, 0 for none. Is asked with the same text and more behind
/// it until there are some, which are then cut off: the next text begins behind them. So it may remember how far it has
/// looked. What is left at the end of the file is a record too.
using WholeRecords = std::function<std::size_t(std::string_view text)>;

/// Records are lines, however they end.
WholeRecords whole_lines();

/// Reads a file piece by piece. Where it is cut depends on its content alone, so parts are the same on every machine.
class FileParts {
 public:
  /// `plain_ends`: every line end becomes LF. Throws Error (bad_input) naming the path.
  FileParts(std::string path, WholeRecords whole, bool plain_ends = false);
  /// A text that is in memory; `path` is what messages call it.
  FileParts(std::string path, std::shared_ptr<const std::string> text, WholeRecords whole);

  /// The next part, without a byte order mark; false at the end. Throws Error (bad_input).
  bool next(FileText& part);

 private:
  std::string next_piece();
  bool read_piece();

  std::string path_;
  WholeRecords whole_;
  bool plain_ends_ = false;
  std::shared_ptr<void> file_;  // or text_
  std::shared_ptr<const std::string> text_;
  std::size_t at_ = 0;    // in text_
  std::string rest_;      // read and not given
  bool ends_cr_ = false;  // with plain_ends_: a CR that was read last is not in rest_ yet
  std::int64_t line_ = 1;
  bool begun_ = false, ended_ = false;
};

}  // namespace finetune
