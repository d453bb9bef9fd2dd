#include "engine/torch_image.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace finetune {
namespace {

template <typename Copy>
SlotImage copied(const SlotImage& slot, const Copy& copy) {
  return {copy(slot.params_P), copy(slot.first_P), copy(slot.second_P), copy(slot.steps)};
}

at::Tensor pinned_copy(const at::Tensor& from) {
  const at::Tensor to = at::empty(from.sizes(), at::TensorOptions(from.scalar_type()).pinned_memory(true));
  return to.copy_(from, /*non_blocking=*/true);
}

}  // namespace

SlotImage TorchImage::arrived() const {
  if (leaving_) leaving_->synchronize();
  leaving_.reset();
  return slot_;
}

SlotImage TorchImage::slot() const {
  const std::lock_guard lock(mutex_);
  return arrived();
}

SlotImage TorchImage::on_host() const {
  const std::lock_guard lock(mutex_);
  slot_ = copied(arrived(), [](const at::Tensor& row) { return row.cpu(); });
  return slot_;
}

bool TorchImage::leave_device() const {
  const std::lock_guard lock(mutex_);
  const at::Device device = slot_.params_P.device();
  if (device.is_cpu()) return false;
  slot_ = copied(slot_, pinned_copy);
  leaving_.emplace(device.type());
  leaving_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return true;
}

void DeviceImages::add(const std::shared_ptr<const TorchImage>& image) {
  const std::lock_guard lock(mutex_);
  std::erase_if(images_, [](const auto& one) { return one.expired(); });
  images_.push_back(image);
}

bool DeviceImages::leave() {
  const std::lock_guard lock(mutex_);
  bool some = false;
  for (const auto& one : std::exchange(images_, {})) {
    if (const auto image = one.lock()) some = image->leave_device() || some;
  }
  return some;
}

}  // namespace finetune
