// Lines of a text as every system ends them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace finetune {

/// Length of the line end at `position`: 2 for CR LF, 1 for LF or CR alone, 0 for anything else.
inline std::size_t line_end_at(std::string_view text, std::size_t position) {
  if (text[position] == '\n') return 1;
  if (text[position] != '\r') return 0;
  return position + 1 < text.size() && text[position + 1] == '\n' ? 2 : 1;
}

/// Calls work(1-based number, line without its end) for each line. LF, CR LF and CR end lines, also in turns, as in
/// Python's text mode.
template <typename Work>
void for_each_line(std::string_view text, const Work& work) {
  std::int64_t number = 1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = text.find_first_of("\r\n", begin);
    work(number, text.substr(begin, end - begin));
    if (end == std::string_view::npos) break;
    begin = end + line_end_at(text, end);
  }
}

/// Every line end as LF.
inline std::string with_plain_ends(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = line_end_at(text, i);
    out += end > 0 ? '\n' : text[i];
    i += std::max<std::size_t>(end, 1);
  }
  return out;
}

inline bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

}  // namespace finetune
