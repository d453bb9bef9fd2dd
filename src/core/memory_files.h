// What a program that embeds the library holds in place of files: a text by the path that names it. Such a path begins
// with "memory:" (a file of that name is ./memory:...), and nothing but the program that has the text can read it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace finetune {

using MemoryFiles = std::map<std::string, std::shared_ptr<const std::string>, std::less<>>;

inline bool is_memory_file(std::string_view path) {
  return path.starts_with("memory:");
}

/// Throws Error (bad_input) naming a path that nobody has given the text of.
const std::shared_ptr<const std::string>& text_of_memory_file(const MemoryFiles& files, const std::string& path);

}  // namespace finetune
