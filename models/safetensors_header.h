// The header of a safetensors file: read and checked without LibTorch. What the safetensors library reads is read (also
// __metadata__: null, keys it does not know, any padding), save repeated keys, which it lets pass, and entries written
// as lists. Every rule of the format is an error of its own; memory stays in proportion to the text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// A tensor's place in the file.
struct TensorEntry {
  std::string name;
  std::string dtype;  ///< as in the file: F32, BF16, F16, I64 ...
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes, relative to the data buffer
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;             ///< in order of their data
  std::map<std::string, std::string> metadata;  ///< __metadata__
  std::uint64_t data_offset = 0;                ///< of the data buffer in the file
};

/// `prefix`: the first 8 bytes and the header, `file_size`: of the whole file. Throws Error (bad_input) naming `path`
/// and the tensor.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view prefix, std::uint64_t file_size);

/// Length of the header given the first 8 bytes; throws for files that are too short or headers over 100 MB.
std::uint64_t safetensors_header_length(const std::string& path, std::string_view first_bytes, std::uint64_t file_size);

/// Header bytes for tensors written in this order (offsets are filled in), the length and padding included.
std::string make_safetensors_header(std::vector<TensorEntry>& tensors,
                                    const std::map<std::string, std::string>& metadata);

/// Bytes of an element, 0 for a dtype that is unknown or not a whole number of bytes.
std::uint64_t dtype_bytes(std::string_view dtype);

}  // namespace finetune
