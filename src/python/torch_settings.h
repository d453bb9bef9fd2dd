// LibTorch's settings of the whole process, which are also those of the user's own torch.
#pragma once

namespace finetune::python {

/// Puts back, when it goes, what a run changes: numbers of threads, deterministic algorithms.
class TorchSettings {
 public:
  TorchSettings();
  ~TorchSettings();
  TorchSettings(const TorchSettings&) = delete;
  TorchSettings& operator=(const TorchSettings&) = delete;

 private:
  int threads_;
  bool deterministic_, warns_, fills_;
};

}  // namespace finetune::python
