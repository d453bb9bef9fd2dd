// Any bytes as a safetensors file: either a header whose tensors lie inside the file, or an Error; never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "models/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  try {
    auto header = finetune::parse_safetensors_header("fuzz", file, size);
    std::uint64_t position = 0;
    for (const auto& tensor : header.tensors) {
      if (tensor.begin != position || tensor.end < tensor.begin) std::abort();
      position = tensor.end;
    }
    if (header.data_offset + position != size) std::abort();
    // What was read can be written and read again (dtypes of less than a byte are only read).
    for (const auto& tensor : header.tensors) {
      if (finetune::dtype_bytes(tensor.dtype) == 0) return 0;
    }
    const std::string written = finetune::make_safetensors_header(header.tensors, header.metadata);
    finetune::parse_safetensors_header("fuzz", written, written.size() + position);
  } catch (const finetune::Error&) {
  }
  return 0;
}
