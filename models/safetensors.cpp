#include "models/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

// Gives back the whole pages of a part of a mapping that has been copied: they would count as this process's memory as
// long as the file is open, so a model of several gigabytes would be there twice. Read again, they come from the file.
void drop_pages(const char* from, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(from) + page - 1) / page * page;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(from) + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) throw bad_input(path_, std::string("cannot be opened: ") + std::strerror(errno));
  struct stat info = {};
  const bool regular = ::fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode);
  size_ = regular ? static_cast<std::uint64_t>(info.st_size) : 0;
  void* mapped = size_ > 0 ? ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0) : MAP_FAILED;
  if (mapped != MAP_FAILED) data_ = static_cast<const char*>(mapped);
  try {
    if (!regular) throw bad_input(path_, "is not a regular file");
    if (size_ > 0 && data_ == nullptr) throw bad_input(path_, std::string("cannot be mapped: ") + std::strerror(errno));
    header_ = parse_safetensors_header(path_, std::string_view(data_, size_), size_);
  } catch (...) {
    if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
    ::close(descriptor_);
    throw;
  }
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_[header_.tensors[i].name] = i;
}

SafetensorsFile::~SafetensorsFile() {
  ::munmap(const_cast<char*>(data_), size_);
  ::close(descriptor_);
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

at::Tensor SafetensorsFile::read(const TensorEntry& entry) const {
  at::Tensor tensor = at::empty(entry.shape, torch_dtype(path_, entry));
  const char* from = data_ + header_.data_offset + entry.begin;
  // The format promises no alignment, hence a copy of bytes.
  std::memcpy(tensor.data_ptr(), from, entry.end - entry.begin);
  drop_pages(from, entry.end - entry.begin);
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
