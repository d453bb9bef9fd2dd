#include "remote/remote_image.h"

namespace finetune::remote {

ImageParts RemoteImage::parts() const {
  const std::lock_guard lock(mutex_);
  if (!file_) file_.emplace("the state of a trial", bytes_->fetch());
  return file_->parts();
}

std::shared_ptr<const ImageBytes> bytes_of(const TrialImage& image) {
  if (const auto* remote = dynamic_cast<const RemoteImage*>(&image)) return remote->bytes();
  return std::make_shared<const OwnBytes>(image_bytes(image.parts()));
}

}  // namespace finetune::remote
