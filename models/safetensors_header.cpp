#include "models/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

// Limits of the format's reference reader (header) and of reason (the rest).
constexpr std::uint64_t kLongestHeader = 100'000'000;
constexpr std::size_t kMostTensors = 1'000'000, kLongestName = 1024, kHighestRank = 8;

struct DtypeSize {
  const char* name;
  std::uint64_t bits;
};
constexpr std::array kDtypes = {
    DtypeSize{"BOOL", 8},       DtypeSize{"F4", 4},        DtypeSize{"F6_E2M3", 6},     DtypeSize{"F6_E3M2", 6},
    DtypeSize{"U8", 8},         DtypeSize{"I8", 8},        DtypeSize{"F8_E5M2", 8},     DtypeSize{"F8_E4M3", 8},
    DtypeSize{"F8_E8M0", 8},    DtypeSize{"F8_E4M3FNUZ", 8}, DtypeSize{"F8_E5M2FNUZ", 8}, DtypeSize{"I16", 16},
    DtypeSize{"U16", 16},       DtypeSize{"F16", 16},      DtypeSize{"BF16", 16},       DtypeSize{"I32", 32},
    DtypeSize{"U32", 32},       DtypeSize{"F32", 32},      DtypeSize{"C64", 64},        DtypeSize{"F64", 64},
    DtypeSize{"I64", 64},       DtypeSize{"U64", 64}};

std::uint64_t dtype_bits(std::string_view name) {
  for (const auto& dtype : kDtypes) {
    if (name == dtype.name) return dtype.bits;
  }
  return 0;
}

std::uint64_t checked_product(const std::string& path, const std::string& name, std::uint64_t a, std::uint64_t b) {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) {
    throw bad_input(path, "tensor " + name + ": its shape is too large");
  }
  return a * b;
}

std::uint64_t whole_number(const std::string& path, const std::string& name, const nlohmann::ordered_json& json) {
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    throw bad_input(path, "tensor " + name + ": expected a whole number, found " + json.dump().substr(0, 40));
  }
  return json.get<std::uint64_t>();
}

TensorEntry parse_entry(const std::string& path, const std::string& name, const nlohmann::ordered_json& json) {
  if (name.empty() || name.size() > kLongestName || name.find('\0') != std::string::npos) {
    throw bad_input(path, "a tensor's name is empty, too long or holds a NUL byte");
  }
  const std::string what = "tensor " + name + ": ";
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    throw bad_input(path, what + "expected exactly dtype, shape and data_offsets");
  }
  TensorEntry entry;
  entry.name = name;
  if (!json["dtype"].is_string() || dtype_bits(json["dtype"].get<std::string>()) == 0) {
    throw bad_input(path, what + "unknown dtype " + json["dtype"].dump().substr(0, 40));
  }
  entry.dtype = json["dtype"].get<std::string>();
  if (!json["shape"].is_array() || json["shape"].size() > kHighestRank) {
    throw bad_input(path, what + "shape is not a list of at most 8 sizes");
  }
  std::uint64_t bits = dtype_bits(entry.dtype);
  for (const auto& size : json["shape"]) {
    entry.shape.push_back(static_cast<std::int64_t>(whole_number(path, name, size)));
    bits = checked_product(path, name, bits, static_cast<std::uint64_t>(entry.shape.back()));
  }
  const auto& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) throw bad_input(path, what + "data_offsets is not a pair");
  entry.begin = whole_number(path, name, offsets[0]);
  entry.end = whole_number(path, name, offsets[1]);
  if (entry.end < entry.begin) throw bad_input(path, what + "data_offsets end before they begin");
  if (bits % 8 != 0 || bits / 8 != entry.end - entry.begin) {
    throw bad_input(path, what + "shape and dtype need " + std::to_string(bits / 8) + " bytes, data_offsets give " +
                              std::to_string(entry.end - entry.begin));
  }
  return entry;
}

// Each tensor must begin where the one before ends: that rejects holes and overlaps together.
void check_layout(const std::string& path, const std::vector<TensorEntry>& tensors, std::uint64_t data_size) {
  std::uint64_t position = 0;
  for (const auto& tensor : tensors) {
    if (tensor.begin != position) {
      throw bad_input(path, "tensor " + tensor.name + ": begins at byte " + std::to_string(tensor.begin) + " instead of " +
                                std::to_string(position) + " (a hole or an overlap)");
    }
    position = tensor.end;
  }
  if (position > data_size) {
    throw bad_input(path, "is incomplete: the header describes " + std::to_string(position) + " bytes of data, the file has " +
                              std::to_string(data_size));
  }
  if (position < data_size) {
    throw bad_input(path, "has " + std::to_string(data_size - position) + " bytes after the last tensor");
  }
}

}  // namespace

std::uint64_t dtype_bytes(std::string_view dtype) { return dtype_bits(dtype) % 8 == 0 ? dtype_bits(dtype) / 8 : 0; }

std::uint64_t safetensors_header_length(const std::string& path, std::string_view first_bytes, std::uint64_t file_size) {
  if (first_bytes.size() < 8 || file_size < 8) throw bad_input(path, "is too short to be a safetensors file");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(first_bytes[static_cast<std::size_t>(i)]);
  if (length > kLongestHeader) throw bad_input(path, "its header claims " + std::to_string(length) + " bytes; at most 100,000,000 are allowed");
  if (length > file_size - 8) throw bad_input(path, "is cut off inside its header");
  return length;
}

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view prefix, std::uint64_t file_size) {
  const std::uint64_t length = safetensors_header_length(path, prefix, file_size);
  const std::string_view text = prefix.substr(8, length);
  if (text.size() != length) throw bad_input(path, "is cut off inside its header");
  if (text.empty() || text.front() != '{') throw bad_input(path, "its header does not begin with {");
  const auto json = parse_strict_json(path, text, 8);
  if (json.size() > kMostTensors) throw bad_input(path, "has more than 1,000,000 tensors");
  SafetensorsHeader header;
  header.data_offset = 8 + length;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      header.tensors.push_back(parse_entry(path, name, value));
      continue;
    }
    if (!value.is_object()) throw bad_input(path, "__metadata__ is not an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string()) throw bad_input(path, "__metadata__." + key + " is not a string");
      header.metadata[key] = text_value.get<std::string>();
    }
  }
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  check_layout(path, header.tensors, file_size - header.data_offset);
  return header;
}

std::string make_safetensors_header(std::vector<TensorEntry>& tensors, const std::map<std::string, std::string>& metadata) {
  auto json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (auto& tensor : tensors) {
    std::uint64_t bytes = dtype_bytes(tensor.dtype);
    for (const auto size : tensor.shape) bytes *= static_cast<std::uint64_t>(size);
    tensor.begin = position;
    tensor.end = position += bytes;
    json[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = json.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // data begins at a multiple of 8
  std::string header(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) header[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return header + text;
}

}  // namespace finetune
