// A trial's state as bytes of an image file that lie somewhere: in this process, or where a channel keeps them.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "engine/lane.h"
#include "remote/lane_channel.h"
#include "study/image_file.h"

namespace finetune::remote {

/// Any thread.
class RemoteImage : public TrialImage {
 public:
  explicit RemoteImage(std::shared_ptr<const ImageBytes> bytes) : bytes_(std::move(bytes)) {}

  /// Brings the bytes here, where they stay.
  ImageParts parts() const override;
  const std::shared_ptr<const ImageBytes>& bytes() const { return bytes_; }

 private:
  std::shared_ptr<const ImageBytes> bytes_;
  mutable std::mutex mutex_;
  mutable std::optional<ImageFile> file_;
};

/// Bytes in this process.
class OwnBytes : public ImageBytes {
 public:
  explicit OwnBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string fetch() const override { return bytes_; }

 private:
  std::string bytes_;
};

/// Of an image of any lane.
std::shared_ptr<const ImageBytes> bytes_of(const TrialImage& image);

}  // namespace finetune::remote
