// Strings as Python sees them: UTF-8 here, indexed and classified by code point.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace finetune::jinja {

/// The code point that begins at byte `at`, which is moved past it. `text` is valid UTF-8.
char32_t next_point(std::string_view text, std::size_t& at);
void append_point(std::string& text, char32_t point);
std::vector<char32_t> points_of(std::string_view text);
std::size_t count_points(std::string_view text);
/// Byte offset of the code point with this index; the end when there are fewer.
std::size_t byte_offset(std::string_view text, std::size_t index);

bool is_ascii(std::string_view text);
bool is_space(char32_t point);  ///< str.isspace
bool is_word(char32_t point);   ///< \w of Python's re
bool is_printable(char32_t point);
bool is_cased(char32_t point);  ///< has an upper or lower case form
bool is_upper(char32_t point);
bool is_lower(char32_t point);
bool is_letter(char32_t point);

/// str.upper, lower, title, capitalize: full mappings, the final sigma included.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);
std::string capitalized(std::string_view text);

/// Parts between line ends as str.splitlines finds them.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
/// Strips the code points of `set` instead of white space.
std::string_view strip_left(std::string_view text, std::string_view set);
std::string_view strip_right(std::string_view text, std::string_view set);

/// Like find, in time linear in the sizes whatever the texts.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t from = 0);

}  // namespace finetune::jinja
