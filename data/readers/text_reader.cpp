#include <algorithm>

#include "core/files.h"
#include "data/readers/line_parts.h"
#include "data/readers/lines.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

std::string with_plain_ends(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = line_end_at(text, i);
    out += end > 0 ? '\n' : text[i];
    i += std::max<std::size_t>(end, 1);
  }
  return out;
}

void put_lines(const LinePart& part, const RecordSink& sink) {
  for_each_line(*part.text, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    const std::int64_t in_file = part.first_line + number - 1;
    if (is_utf8(line))
      sink.record({Json{{"text", std::string(line)}}, in_file});
    else
      sink.reject(in_file, "is not valid UTF-8");
  });
}

}  // namespace

void read_text_lines(const std::string& path, const PartSink& take) {
  LineParts parts(path);
  for (LinePart part; parts.next(part);)
    take({[part](const RecordSink& sink) { put_lines(part, sink); }, part.text->size()});
}

void read_txt(const std::string& path, const std::string& content, const std::string& separator,
              const RecordSink& sink) {
  require_utf8(path, content);
  // A separator may hold line ends, and those of the file may be any.
  const std::string text = with_plain_ends(content), mark = with_plain_ends(separator);
  const auto count_ends = [](std::string_view part) { return std::count(part.begin(), part.end(), '\n'); };
  std::int64_t line = 1;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(mark, begin), text.size());
    std::string_view part(text.data() + begin, end - begin);
    const std::size_t blank = std::min(part.find_first_not_of('\n'), part.size());
    const std::int64_t first = line + static_cast<std::int64_t>(blank);
    line += count_ends(std::string_view(text).substr(begin, end + mark.size() - begin));
    part.remove_prefix(blank);
    while (!part.empty() && part.back() == '\n') part.remove_suffix(1);
    if (!is_blank(part)) sink.record({Json{{"text", std::string(part)}}, first});
    begin = end + mark.size();
  }
}

}  // namespace finetune
