// The extension module finetune_tune._core: what of the library Python calls, one function per group. Everything that
// is structured crosses as JSON text, so that both sides read what the command line prints; src/python/finetune_tune
// makes Python's own objects of it.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <string>

#include "config/run_config.h"
#include "core/memory_files.h"

namespace finetune::python {

namespace nb = nanobind;

void bind_errors(nb::module_& module);   ///< Error of the library -> finetune_tune.Error
void bind_reports(nb::module_& module);  ///< Report, Reports: what on_step sees
void bind_runs(nb::module_& module);     ///< tune, train, resume, check, generate
void bind_results(nb::module_& module);  ///< what a run's folder holds
void bind_remote(nb::module_& module);   ///< a worker's end of a study
void bind_tuner(nb::module_& module);    ///< asktell as a class

/// Rows as JSON lines, by the path that stands for them in the configuration.
using RowTexts = std::map<std::string, nb::bytes>;
MemoryFiles memory_files(const RowTexts& rows);

struct ConfigUse {
  bool asktell = false;  ///< search parameters may have any name
  bool prompts = false;  ///< data.valid is what is to be continued: what a run held out means nothing
};

/// A configuration from a YAML file ("" = none) and JSON on top of it, checked. A key of `required` that is missing is
/// an Error. Throws Error (bad_input) naming the key.
RunConfig read_config(const std::string& file, const std::string& json, const RowTexts& rows,
                      std::initializer_list<const char*> required, const ConfigUse& use = {});

}  // namespace finetune::python
