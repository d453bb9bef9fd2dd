#include "python/torch_settings.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

namespace finetune::python {

TorchSettings::TorchSettings()
    : threads_(at::get_num_threads()),
      deterministic_(at::globalContext().deterministicAlgorithms()),
      warns_(at::globalContext().deterministicAlgorithmsWarnOnly()),
      fills_(at::globalContext().deterministicFillUninitializedMemory()) {}

TorchSettings::~TorchSettings() {
  at::set_num_threads(threads_);
  at::globalContext().setDeterministicAlgorithms(deterministic_, warns_);
  at::globalContext().setDeterministicFillUninitializedMemory(fills_);
}

}  // namespace finetune::python
