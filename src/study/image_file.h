// A trial's image (engine/lane.h) as a safetensors file: its arrays as F32, its values as JSON in the metadata.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/disk_fault.h"
#include "engine/lane.h"
#include "study/written_file.h"

namespace finetune {

/// Atomically and durably. Throws Error (failed).
WrittenFile write_image(const std::filesystem::path& path, const ImageParts& parts, const OnDiskFault& on_fault = {});

/// What write_image writes.
std::string image_bytes(const ImageParts& parts);

/// An image file in memory; parts() point into it.
class ImageFile {
 public:
  /// Not trusted: throws Error (bad_input) naming the path for what is not what was written, or no image.
  ImageFile(const std::filesystem::path& path, const WrittenFile& written);
  /// Its content; `where` names it.
  ImageFile(const std::string& where, std::string content);
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;
  const ImageParts& parts() const { return parts_; }

 private:
  std::string content_;
  ImageParts parts_;
};

}  // namespace finetune
