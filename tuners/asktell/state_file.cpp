#include "tuners/asktell/state_file.h"

#include <string>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

constexpr const char* kFormat = "finetune_tune asktell";
constexpr int kVersion = 1;

// FNV-1a over the bytes: a changed digit would still be JSON.
std::string checksum(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return std::to_string(hash);
}

}  // namespace

void write_state_file(const std::filesystem::path& path, const nlohmann::ordered_json& state) {
  const std::string body = state.dump() + "\n";
  const nlohmann::ordered_json header{{"format", kFormat}, {"version", kVersion}, {"checksum", checksum(body)}};
  write_file_atomically(path, header.dump() + "\n" + body);
}

nlohmann::ordered_json read_state_file(const std::filesystem::path& path) {
  const std::string where = path.string(), content = read_file(path);
  const auto line_end = content.find('\n');
  if (line_end == std::string::npos) throw bad_input(where, "is not a saved asktell session");
  const auto header = parse_strict_json(where, std::string_view(content).substr(0, line_end), 4);
  if (!header.is_object() || header.value("format", nlohmann::ordered_json()) != kFormat)
    throw bad_input(where, "is not a saved asktell session");
  if (header.value("version", nlohmann::ordered_json()) != kVersion)
    throw bad_input(where, "was saved by another version");
  const std::string_view body = std::string_view(content).substr(line_end + 1);
  if (header.value("checksum", nlohmann::ordered_json()) != checksum(body))
    throw bad_input(where, "is damaged: the checksum does not match");
  return parse_strict_json(where, body);
}

}  // namespace finetune
