#include <algorithm>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "data/readers/file_parts.h"
#include "data/readers/lines.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 32;

std::optional<Json> parse(std::string_view text, std::string& reason) {
  try {
    return parse_strict_json("", text, kDeepest);
  } catch (const Error& error) {
    reason = error.what();
    return std::nullopt;
  }
}

void put(Json value, std::int64_t number, const RecordSink& sink) {
  if (value.is_object())
    sink.record({std::move(value), number});
  else
    sink.reject(number, "is not a JSON object");
}

void put_json_lines(const FileText& part, const RecordSink& sink) {
  for_each_line(*part.text, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    const std::int64_t in_file = part.first_line + number - 1;
    std::string reason;
    if (auto json = parse(line, reason))
      put(std::move(*json), in_file, sink);
    else
      sink.reject(in_file, reason);
  });
}

void read_list(const std::string& path, const std::string& content, const RecordSink& sink) {
  Json list = parse_strict_json(path, content, kDeepest);
  std::int64_t number = 0;
  for (auto& value : list) put(std::move(value), ++number, sink);
}

enum class Shape { list, lines, other };

std::vector<std::string_view> first_two_lines(std::string_view content) {
  std::vector<std::string_view> first;
  for (std::size_t begin = 0; begin < content.size() && first.size() < 2;) {
    const std::size_t end = std::min(content.find_first_of("\r\n", begin), content.size());
    if (!is_blank(content.substr(begin, end - begin))) first.push_back(content.substr(begin, end - begin));
    begin = end + 1;
  }
  return first;
}

// By the first two lines that are not blank: a record a line has whole values in them, a list opens with a bracket.
Shape shape_of(std::string_view content) {
  const std::vector<std::string_view> first = first_two_lines(content);
  if (first.empty()) return Shape::lines;
  const auto opens = [&](std::size_t line, char bracket) { return trim(first[line]).front() == bracket; };
  if (first.size() == 1) return opens(0, '[') ? Shape::list : Shape::lines;
  std::string reason;
  if (parse(first[0], reason)) return Shape::lines;
  if (opens(0, '[')) return Shape::list;
  return opens(0, '{') && !opens(1, '{') ? Shape::other : Shape::lines;
}

std::string keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return join(keys, ", ");
}

}  // namespace

bool read_json_lines(const std::string& path, std::shared_ptr<const std::string> text, const PartSink& take) {
  FileParts parts = text ? FileParts(path, std::move(text), whole_lines()) : FileParts(path, whole_lines());
  std::vector<FileText> first;
  std::string beginning;
  for (FileText part; first_two_lines(beginning).size() < 2 && parts.next(part);) {
    beginning += *part.text;
    first.push_back(part);
  }
  if (shape_of(beginning) != Shape::lines) return false;
  const auto hand_over = [&](const FileText& part) {
    take({[part](const RecordSink& sink) { put_json_lines(part, sink); }, part.text->size()});
  };
  for (const FileText& part : first) hand_over(part);
  for (FileText part; parts.next(part);) hand_over(part);
  return true;
}

void read_json(const std::string& path, const std::string& content, const RecordSink& sink) {
  if (shape_of(content) == Shape::list) return read_list(path, content, sink);
  const Json object = parse_strict_json(path, content, kDeepest);
  throw bad_input(path, "is one object over many lines (its keys: " + keys_of(object) +
                            "), not a list of records or one object per line");
}

}  // namespace finetune
