// CUDA graphs by LibTorch's CUDAGraph, which keeps the memory of a capture apart in the caching allocator. The only
// file that links the CUDA half of LibTorch: a library of its own that graph.cpp loads.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <mutex>

#include "kernels/torch/graph.h"

namespace finetune::ops {
namespace {

// One stream per device for all captures, since libraries keep a workspace per stream; the default stream cannot be
// captured.
c10::cuda::CUDAStream capture_stream(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard lock(mutex);
  return streams.try_emplace(device, c10::cuda::getStreamFromPool(false, device)).first->second;
}

class CudaGraph : public Graph {
 public:
  explicit CudaGraph(c10::DeviceIndex device) : device_(device) {}
  void capture(std::function<void()> work) override {
    work_ = std::move(work);
    const c10::cuda::CUDAGuard here(device_);
    c10::cuda::getCurrentCUDAStream(device_).synchronize();  // nothing enqueued before may reach into the capture
    const c10::cuda::CUDAStreamGuard guard(capture_stream(device_));
    static const at::cuda::MempoolId_t kPool = at::cuda::graph_pool_handle();
    // Thread-local: threads of other lanes may allocate meanwhile.
    graph_.capture_begin(kPool, cudaStreamCaptureModeThreadLocal);
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
  at::cuda::CUDAGraph graph_;
};

}  // namespace
}  // namespace finetune::ops

extern "C" __attribute__((visibility("default"))) finetune::ops::Graph* finetune_make_cuda_graph(int device) {
  return new finetune::ops::CudaGraph(static_cast<c10::DeviceIndex>(device));
}
