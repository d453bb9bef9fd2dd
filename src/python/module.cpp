#include "core/version.h"
#include "python/bindings.h"

NB_MODULE(_core, module) {
  module.doc() = "What finetune_tune's Python side calls of the C++ library; use the package finetune_tune instead.";
  module.attr("version") = finetune::kVersion;
  finetune::python::bind_errors(module);
  finetune::python::bind_reports(module);
  finetune::python::bind_runs(module);
  finetune::python::bind_results(module);
  finetune::python::bind_remote(module);
  finetune::python::bind_tuner(module);
}
