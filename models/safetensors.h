// Tensors in safetensors files: memory-mapped reading, atomic writing.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/mapped_file.h"
#include "models/safetensors_header.h"

namespace finetune {

/// An open file; tensors are copied out, so nothing points into it afterwards.
class SafetensorsFile {
 public:
  /// Throws Error (bad_input) naming the path, or what of its header is wrong.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const SafetensorsHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  const TensorEntry* find(const std::string& name) const;
  /// A copy on the CPU in the file's dtype; the file's pages behind it are given back. F32, F16 and BF16 only: others
  /// throw, naming the tensor.
  at::Tensor read(const TensorEntry& entry) const;

 private:
  std::string path_;
  MappedFile file_;
  SafetensorsHeader header_;
  std::map<std::string, std::size_t> index_;
};

struct SafetensorsWriting {
  std::optional<at::ScalarType> dtype;  ///< every tensor is rounded to it; absent: each keeps its own
  std::map<std::string, std::string> metadata = {{"format", "pt"}};  ///< transformers refuses files without a format
};

/// Writes tensors (F32, F16, BF16) atomically, the widest type first, then by name. One tensor at a time is moved to
/// the CPU and converted, so a model needs no second copy. Throws Error (failed), also for a value that is finite
/// before the conversion and not after it.
void write_safetensors(const std::filesystem::path& path, std::vector<std::pair<std::string, at::Tensor>> tensors,
                       const SafetensorsWriting& options = {});

/// No NaN and no infinity. One pass and no temporary: the smallest and the largest value show both.
bool all_finite(const at::Tensor& tensor);

}  // namespace finetune
