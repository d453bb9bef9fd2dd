#include "models/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

at::ScalarType torch_dtype(const std::string& path, const TensorEntry& entry) {
  if (entry.dtype == "F32") return at::kFloat;
  if (entry.dtype == "BF16") return at::kBFloat16;
  if (entry.dtype == "F16") return at::kHalf;
  throw bad_input(path, "tensor " + entry.name + ": dtype " + entry.dtype + " cannot be used; F32, F16 and BF16 can");
}

const char* dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "F32";
    case at::kBFloat16:
      return "BF16";
    case at::kHalf:
      return "F16";
    default:
      return "";
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()), file_(path) {
  header_ = parse_safetensors_header(path_, file_.bytes(), file_.bytes().size());
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_[header_.tensors[i].name] = i;
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

at::Tensor SafetensorsFile::read(const TensorEntry& entry) const {
  at::Tensor tensor = at::empty(entry.shape, torch_dtype(path_, entry));
  const std::string_view from = file_.bytes().substr(header_.data_offset + entry.begin, entry.end - entry.begin);
  // The format promises no alignment, hence a copy of bytes.
  std::memcpy(tensor.data_ptr(), from.data(), from.size());
  MappedFile::drop_pages(from);  // a model of several gigabytes would be there twice
  return tensor;
}

void write_safetensors(const std::filesystem::path& path, std::vector<std::pair<std::string, at::Tensor>> tensors,
                       const SafetensorsWriting& options) {
  const auto dtype_of = [&](const at::Tensor& tensor) { return options.dtype.value_or(tensor.scalar_type()); };
  std::sort(tensors.begin(), tensors.end(), [&](const auto& a, const auto& b) {
    const auto a_bytes = at::elementSize(dtype_of(a.second)), b_bytes = at::elementSize(dtype_of(b.second));
    return a_bytes != b_bytes ? a_bytes > b_bytes : a.first < b.first;
  });
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({.name = name, .dtype = dtype_name(dtype_of(tensor)), .shape = tensor.sizes().vec()});
    if (entries.back().dtype.empty())
      throw failed(path.string(), "tensor " + name + " has a dtype that cannot be written");
  }
  write_file_atomically(path, [&](AtomicFile& file) {
    file.write(make_safetensors_header(entries, options.metadata));
    for (const auto& [name, tensor] : tensors) {
      const at::Tensor bytes = tensor.to(at::kCPU, dtype_of(tensor)).contiguous();
      if (bytes.scalar_type() != tensor.scalar_type() && !all_finite(bytes)) {
        throw failed(path.string(),
                     "tensor " + name + " holds values beyond the range of " + dtype_name(bytes.scalar_type()));
      }
      file.write({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
    }
  });
}

bool all_finite(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return true;
  const auto [low, high] = at::aminmax(tensor);
  return std::isfinite(low.item<double>()) && std::isfinite(high.item<double>());
}

}  // namespace finetune
