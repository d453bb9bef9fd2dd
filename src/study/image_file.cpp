#include "study/image_file.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "models/safetensors_header.h"

namespace finetune {
namespace {

constexpr std::size_t kAlignment = alignof(float);

std::string_view bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::string header_of(const ImageParts& parts) {
  std::vector<TensorEntry> tensors;
  for (const auto& [name, values] : parts.arrays)
    tensors.push_back({.name = name, .dtype = "F32", .shape = {std::ssize(values)}});
  return make_safetensors_header(tensors, {{"format", "pt"}, {"values", parts.values.dump()}});
}

}  // namespace

WrittenFile write_image(const std::filesystem::path& path, const ImageParts& parts, const OnDiskFault& on_fault) {
  const std::string header = header_of(parts);
  WrittenFile written;
  const auto fill = [&](AtomicFile& file) {
    ContentHash hash;
    written.bytes = 0;
    const auto put = [&](std::string_view bytes) {
      file.write(bytes);
      hash.add(bytes);
      written.bytes += bytes.size();
    };
    put(header);
    for (const auto& [name, values] : parts.arrays) put(bytes_of(values));
    written.hash = hash.text();
  };
  write_file_atomically(path, fill, on_fault);
  return written;
}

std::string image_bytes(const ImageParts& parts) {
  std::string bytes = header_of(parts);
  for (const auto& [name, values] : parts.arrays) bytes += bytes_of(values);
  return bytes;
}

ImageFile::ImageFile(const std::filesystem::path& path, const WrittenFile& written)
    : ImageFile(path.string(), read_written(path, written)) {}

ImageFile::ImageFile(const std::string& where, std::string content) : content_(std::move(content)) {
  const std::uint64_t length = safetensors_header_length(where, content_, content_.size());
  const SafetensorsHeader header =
      parse_safetensors_header(where, std::string_view(content_).substr(0, 8 + length), content_.size());
  const auto values = header.metadata.find("values");
  if (values == header.metadata.end()) throw bad_input(where, "is no image of a trial");
  parts_.values = parse_strict_json(where, values->second, 8);
  for (const TensorEntry& entry : header.tensors) {
    const char* data = content_.data() + header.data_offset + entry.begin;
    const bool usable = entry.dtype == "F32" && reinterpret_cast<std::uintptr_t>(data) % kAlignment == 0;
    if (!usable) throw bad_input(where, entry.name + " is not made of aligned F32 values");
    parts_.arrays.emplace_back(
        entry.name, std::span(reinterpret_cast<const float*>(data), (entry.end - entry.begin) / sizeof(float)));
  }
}

}  // namespace finetune
