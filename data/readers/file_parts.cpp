#include "data/readers/file_parts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core/error.h"
#include "data/readers/lines.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;

// Behind the last line end that is known to be whole (a CR at the very end may be half of one), 0 for none. There is
// none before `from`.
std::size_t last_line_end(std::string_view text, std::size_t from) {
  for (std::size_t i = text.size(); i-- > from;) {
    if (text[i] == '\n' || (text[i] == '\r' && i + 1 < text.size())) return i + 1;
  }
  return 0;
}

std::int64_t count_lines(std::string_view text) {
  const auto feeds = std::ranges::count(text, '\n');
  if (text.find('\r') == std::string_view::npos) return feeds;
  std::int64_t lines = 0;
  for_each_line(text, [&](std::int64_t, std::string_view) { ++lines; });
  return lines;
}

}  // namespace

WholeRecords whole_lines() {
  return [searched = std::size_t{0}](std::string_view text) mutable {
    const std::size_t cut = last_line_end(text, searched);
    searched = cut > 0 ? 0 : text.size() - (text.ends_with('\r') ? 1 : 0);
    return cut;
  };
}

FileParts::FileParts(std::string path, WholeRecords whole, bool plain_ends)
    : path_(std::move(path)), whole_(std::move(whole)), plain_ends_(plain_ends) {
  if (std::filesystem::exists(path_) && !std::filesystem::is_regular_file(path_))
    throw bad_input(path_, "is not a regular file");
  auto file = std::make_shared<std::ifstream>(path_, std::ios::binary);
  if (!*file) throw bad_input(path_, std::string("cannot be opened: ") + std::strerror(errno));
  file_ = file;
}

FileParts::FileParts(std::string path, std::shared_ptr<const std::string> text, WholeRecords whole)
    : path_(std::move(path)), whole_(std::move(whole)), text_(std::move(text)) {}

std::string FileParts::next_piece() {
  if (text_) {
    std::string piece = text_->substr(at_, kPiece);
    at_ += piece.size();
    return piece;
  }
  auto& file = *static_cast<std::ifstream*>(file_.get());
  std::string piece(kPiece, '\0');
  file.read(piece.data(), static_cast<std::streamsize>(kPiece));
  piece.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw bad_input(path_, "cannot be read");
  return piece;
}

bool FileParts::read_piece() {
  std::string piece = next_piece();
  const bool got = !piece.empty();
  if (!plain_ends_) {
    rest_ += piece;
    return got;
  }
  if (std::exchange(ends_cr_, false)) piece.insert(piece.begin(), '\r');
  if (got && piece.ends_with('\r')) {  // the next piece may begin with its LF
    piece.pop_back();
    ends_cr_ = true;
  }
  rest_ += with_plain_ends(piece);
  return got;
}

bool FileParts::next(FileText& part) {
  std::size_t cut = 0;
  while (cut == 0 && !ended_) {
    ended_ = !read_piece();
    if (!std::exchange(begun_, true)) rest_.erase(0, byte_order_mark(path_, rest_));
    cut = whole_(rest_);
  }
  if (ended_) cut = rest_.size();
  if (cut == 0) return false;
  std::string behind = rest_.substr(cut);
  rest_.resize(cut);
  part = {std::make_shared<const std::string>(std::exchange(rest_, std::move(behind))), line_};
  line_ += count_lines(*part.text);
  return true;
}

}  // namespace finetune
