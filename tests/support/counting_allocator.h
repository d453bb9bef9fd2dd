// The bytes that LibTorch holds on the processor, counted, and bounded where a test says so.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace finetune::testing {

/// Stands in for the processor's allocator while it lives. Any thread.
class CountingAllocator : public at::Allocator {
 public:
  struct Bytes {
    std::atomic<std::size_t> limit{SIZE_MAX}, used{0}, peak{0};
  };

  /// `on_full`: throws what an allocation beyond the limit throws.
  explicit CountingAllocator(std::function<void()> on_full = {})
      : real_(*c10::GetAllocator(at::kCPU)), on_full_(std::move(on_full)) {
    c10::SetAllocator(at::kCPU, this, 10);
  }
  ~CountingAllocator() override { c10::SetAllocator(at::kCPU, &real_, 10); }

  at::DataPtr allocate(std::size_t size) override {
    const std::size_t now = bytes->used += size;
    if (now > bytes->limit) {
      bytes->used -= size;
      on_full_();
    }
    bytes->peak = std::max<std::size_t>(bytes->peak, now);
    auto* const held = new Held{real_.allocate(size), size, bytes};
    return {held->data.get(), held, &release, at::kCPU};
  }
  void copy_data(void* to, const void* from, std::size_t size) const override { real_.copy_data(to, from, size); }

  const std::shared_ptr<Bytes> bytes = std::make_shared<Bytes>();  // tensors may outlive the allocator

 private:
  struct Held {
    at::DataPtr data;
    std::size_t size;
    std::shared_ptr<Bytes> bytes;
  };
  static void release(void* context) {
    const std::unique_ptr<Held> held(static_cast<Held*>(context));
    held->bytes->used -= held->size;
  }

  at::Allocator& real_;
  std::function<void()> on_full_;
};

}  // namespace finetune::testing
