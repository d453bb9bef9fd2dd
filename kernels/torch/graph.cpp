#include "kernels/torch/graph.h"

#include <dlfcn.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "core/error.h"
#include "core/own_file.h"
#include "kernels/torch/side_stream.h"

namespace finetune::ops {
namespace {

class Again : public Graph {
 public:
  explicit Again(at::Device device) {
    if (!device.is_cpu()) stream_.emplace(device);
  }
  void warm_up(const std::function<void()>& work) override {
    if (!stream_) return work();
    c10::Event done = stream_->run(work);
    stream_->join(done);
  }
  void capture(std::function<void()> work) override { work_ = std::move(work); }
  void replay() override { work_(); }

 private:
  std::optional<SideStream> stream_;
  std::function<void()> work_;
};

using Make = Graph* (*)(int device);

// The program links the CPU half of LibTorch only, so what needs the CUDA half is a library of its own, loaded on
// demand (kernels/torch/cuda_graph.cpp). It stands beside the program.
struct Library {
  Make make = nullptr;
  std::string problem;
};

const Library& library() {
  static const Library kLibrary = [] {
    const std::string name = "libfinetune_cuda_graph.so";
    void* handle = dlopen((own_file().parent_path() / name).c_str(), RTLD_NOW);
    const std::string problem = handle == nullptr ? dlerror() : "";
    if (handle == nullptr) handle = dlopen(name.c_str(), RTLD_NOW);  // a host program's own path of libraries
    if (handle == nullptr) return Library{nullptr, problem};
    return Library{reinterpret_cast<Make>(dlsym(handle, "finetune_make_cuda_graph")), ""};
  }();
  return kLibrary;
}

}  // namespace

const char* graphs_problem(at::Device device) {
  if (!device.is_cuda() || library().make != nullptr) return nullptr;
  return library().problem.c_str();
}

std::unique_ptr<Graph> make_graph(at::Device device) {
  if (!device.is_cuda()) return std::make_unique<Again>(device);
  if (const char* problem = graphs_problem(device)) throw failed("CUDA graphs", problem);
  return std::unique_ptr<Graph>(library().make(device.index()));
}

}  // namespace finetune::ops
