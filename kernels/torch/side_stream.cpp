#include "kernels/torch/side_stream.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace finetune::ops {

static c10::impl::VirtualGuardImpl guard_of(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type());
}

SideStream::SideStream(at::Device device)
    : device_(device), stream_(guard_of(device).getStreamFromGlobalPool(device, /*isHighPriority=*/false)) {}

c10::Event SideStream::recorded_on(const c10::Stream& stream) const {
  c10::Event event(device_.type());
  event.record(stream);
  return event;
}

c10::Event SideStream::run(const std::function<void()>& work) const {
  recorded_on(guard_of(device_).getStream(device_)).block(stream_);
  const c10::StreamGuard guard(stream_);
  work();
  return recorded_on(stream_);
}

void SideStream::join(c10::Event& done) const {
  done.block(guard_of(device_).getStream(device_));
}

void SideStream::keep(const at::Tensor& tensor) const {
  guard_of(device_).recordDataPtrOnStream(tensor.storage().data_ptr(), stream_);
}

}  // namespace finetune::ops
