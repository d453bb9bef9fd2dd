// Small results of a device on their way to the host: copied to pinned memory behind the work that made them, read when
// they are wanted. On the CPU plain copies.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <deque>
#include <optional>
#include <vector>

namespace finetune::ops {

class ResultRing {
 public:
  explicit ResultRing(at::Device device) : device_(device) {}

  /// Starts to copy fp64 values (any shape) to the host. Does not wait.
  void push(const at::Tensor& values);
  /// The oldest that was pushed, in storage order; waits for its copy, and for nothing pushed later.
  std::vector<double> pop();
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    at::Tensor host;
    std::optional<c10::Event> copied;  // GPU
  };
  at::Device device_;
  std::deque<Entry> entries_;
};

}  // namespace finetune::ops
