#include <algorithm>

#include "core/files.h"
#include "data/readers/file_parts.h"
#include "data/readers/lines.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

void put_lines(const FileText& part, const RecordSink& sink) {
  for_each_line(*part.text, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    const std::int64_t in_file = part.first_line + number - 1;
    if (is_utf8(line))
      sink.record({Json{{"text", std::string(line)}}, in_file});
    else
      sink.reject(in_file, "is not valid UTF-8");
  });
}

// Behind the last separator, found one after the other from the beginning: they may overlap.
WholeRecords whole_marked(const std::string& mark) {
  return [mark, searched = std::size_t{0}](std::string_view text) mutable {
    std::size_t cut = 0;
    for (std::size_t at; (at = text.find(mark, searched)) != std::string_view::npos;) searched = cut = at + mark.size();
    searched = cut > 0 ? 0 : text.size() - std::min(text.size(), mark.size() - 1);
    return cut;
  };
}

void put_marked(const FileText& part, const std::string& mark, const RecordSink& sink) {
  const std::string_view text = *part.text;
  std::int64_t line = part.first_line;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(mark, begin), text.size());
    std::string_view one = text.substr(begin, end - begin);
    const std::size_t blank = std::min(one.find_first_not_of('\n'), one.size());
    const std::int64_t first = line + static_cast<std::int64_t>(blank);
    line += std::ranges::count(text.substr(begin, end + mark.size() - begin), '\n');
    one.remove_prefix(blank);
    while (!one.empty() && one.back() == '\n') one.remove_suffix(1);
    if (!is_utf8(one))
      sink.reject(first, "is not valid UTF-8");
    else if (!is_blank(one))
      sink.record({Json{{"text", std::string(one)}}, first});
    begin = end + mark.size();
  }
}

}  // namespace

void read_text_lines(const std::string& path, const PartSink& take) {
  FileParts parts(path, whole_lines());
  for (FileText part; parts.next(part);)
    take({[part](const RecordSink& sink) { put_lines(part, sink); }, part.text->size()});
}

void read_txt(const std::string& path, const std::string& separator, const PartSink& take) {
  // A separator may hold line ends, and those of the file may be any.
  const std::string mark = with_plain_ends(separator);
  FileParts parts(path, whole_marked(mark), true);
  for (FileText part; parts.next(part);)
    take({[part, mark](const RecordSink& sink) { put_marked(part, mark, sink); }, part.text->size()});
}

}  // namespace finetune
