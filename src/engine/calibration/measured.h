// What a calibration finds of one operation at one size, and what follows from it: decisions on plain values.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/torch/backend.h"

namespace finetune {

struct Measured {
  ops::Operation operation = ops::Operation::rmsnorm;
  at::ScalarType dtype = at::kFloat;
  std::int64_t rows = 0;                    ///< KernelCase::rows
  double composition_s = 0, written_s = 0;  ///< median of a call, forward and backward; 0: not measured
  double error = 0;                         ///< of the written kernel: the largest ||d|| / ||reference|| of its outputs
  double bytes = 0, flops = 0;              ///< KernelCase
  bool has_kernel = false, is_wrong = false;
  bool takes_written = false;  ///< the choice
  std::string why;             ///< of the choice, for people

  double best_s() const { return takes_written ? written_s : composition_s; }
};

/// A written kernel may be this much slower and is taken still: so that choices are the same from one calibration to
/// the next, and passes can be captured.
inline constexpr double kSlowerAllowed = 1.10;

/// ||d|| / ||reference|| that rounding explains: fp32 1e-5, bf16 1e-2.
double error_bound(at::ScalarType dtype);

/// What running a kernel on a case came to.
struct Findings {
  bool has_kernel = true;
  std::string fault;  ///< what is wrong with it beside its error; "" where nothing is
  double error = 0;
  std::string worst;  ///< the output that `error` is of
};
/// Sets has_kernel, is_wrong, error, takes_written and why of `one`, whose times are known.
void decide(Measured& one, const Findings& findings);

/// The operations that get their written kernel: correct at every size that was tried, and all sizes together no slower
/// than kSlowerAllowed.
std::vector<ops::Operation> written_operations(std::span<const Measured> all);

bool is_some_wrong(std::span<const Measured> all);

/// Members by name. Reading throws Error (bad_input) naming `where` for what is missing, of another type or no number
/// that a measurement gives.
nlohmann::ordered_json to_json(const Measured& one);
Measured measured_from_json(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
