// CUDA graphs by LibTorch's CUDAGraph, which keeps the memory of a capture apart in the caching allocator. The only
// file that links the CUDA half of LibTorch: a library of its own that graph.cpp loads.
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <memory>
#include <mutex>

#include "kernels/torch/graph.h"

namespace finetune::ops {
namespace {

// One capture at a time in the process: emptyCache works on all devices and refuses while one is captured.
std::mutex capturing;

// One stream per device for all captures, since libraries keep a workspace per stream; the default stream cannot be
// captured.
c10::cuda::CUDAStream capture_stream(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard lock(mutex);
  return streams.try_emplace(device, c10::cuda::getStreamFromPool(false, device)).first->second;
}

// The graphs of a device share their memory. LibTorch's allocators refuse a pool whose last graph is gone.
using Pool = std::shared_ptr<const at::cuda::MempoolId_t>;
Pool pool_of(c10::DeviceIndex device) {
  static std::map<c10::DeviceIndex, std::weak_ptr<const at::cuda::MempoolId_t>> pools;
  Pool pool = pools[device].lock();
  if (pool == nullptr) {
    pool = std::make_shared<const at::cuda::MempoolId_t>(at::cuda::graph_pool_handle());
    pools[device] = pool;
  }
  return pool;
}

void wait_for(const c10::cuda::CUDAStream& later, const c10::cuda::CUDAStream& earlier) {
  at::cuda::CUDAEvent event;
  event.record(earlier);
  event.block(later);
}

class CudaGraph : public Graph {
 public:
  explicit CudaGraph(c10::DeviceIndex device) : device_(device) {}
  void warm_up(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard here(device_);
    const c10::cuda::CUDAStream current = c10::cuda::getCurrentCUDAStream(device_), own = capture_stream(device_);
    wait_for(own, current);
    {
      const c10::cuda::CUDAStreamGuard guard(own);
      work();
    }
    wait_for(current, own);
  }
  void capture(std::function<void()> work) override {
    work_ = std::move(work);
    const std::lock_guard lock(capturing);
    const c10::cuda::CUDAGuard here(device_);
    c10::cuda::getCurrentCUDAStream(device_).synchronize();  // nothing enqueued before may reach into the capture
    c10::cuda::CUDACachingAllocator::emptyCache();           // a capture cannot take what is cached outside its pool
    const c10::cuda::CUDAStreamGuard guard(capture_stream(device_));
    pool_ = pool_of(device_);
    // Thread-local: threads of other lanes may allocate meanwhile.
    graph_.capture_begin(*pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work_();
    } catch (...) {
      try {
        graph_.capture_end();
      } catch (const c10::Error&) {  // the first error is the one to see
      }
      throw;
    }
    graph_.capture_end();
  }
  void replay() override { graph_.replay(); }

 private:
  c10::DeviceIndex device_;
  std::function<void()> work_;  // holds the tensors that the graph works on
  Pool pool_;                   // outlives graph_
  at::cuda::CUDAGraph graph_;
};

}  // namespace
}  // namespace finetune::ops

extern "C" __attribute__((visibility("default"))) finetune::ops::Graph* finetune_make_cuda_graph(int device) {
  return new finetune::ops::CudaGraph(static_cast<c10::DeviceIndex>(device));
}
