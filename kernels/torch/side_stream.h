// A second stream of a device, for work that goes ahead of the one that a thread's operations go to. Events order the
// two; the host waits for neither. Work of both may be captured in a graph, as long as every `run` is joined in it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <functional>

namespace finetune::ops {

class SideStream {
 public:
  /// The processor has no streams.
  explicit SideStream(at::Device device);

  /// Enqueues what `work` does on the side stream, behind everything that the current stream has got so far.
  c10::Event run(const std::function<void()>& work) const;
  /// What the current stream gets from here on comes behind the work.
  void join(c10::Event& done) const;
  /// The memory of a tensor that `work` uses is given to nobody else before that is done, though nobody joins it.
  void keep(const at::Tensor& tensor) const;

 private:
  c10::Event recorded_on(const c10::Stream& stream) const;

  at::Device device_;
  c10::Stream stream_;
};

}  // namespace finetune::ops
