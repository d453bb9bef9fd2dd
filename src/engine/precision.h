// Which dtype a run computes in: model.dtype (design contract, 13.2). The choice is a function of plain facts; what it
// was is written to run.yaml and best.yaml, so that a run is the same elsewhere.
//
// On a GPU bfloat16 from compute capability 8.0, whatever the file has. On a CPU bfloat16 only where it trains faster
// and keeps the promise of equal bits: where every operation has a kernel of ours in it and the products are 1.5 times
// faster. No CPU kernel for bfloat16 exists yet, so today a CPU computes in float32: the composition of LibTorch's
// operations between the products keeps no such promise and eats up what they save (AVX512-BF16, smollm2-135m: products
// 1.8 times as fast, four steps of training 17.3 s, in float32 11.3 s; without that instruction 15 times as long).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/rates.h"

namespace finetune {

/// What the choice depends on, of one device.
struct PrecisionFacts {
  std::string device;  ///< for people: cpu, cuda:0
  bool gpu = false;
  int capability = 0;             ///< GPU: 10 x major + minor
  bool bfloat16_kernels = false;  ///< CPU: every operation has a kernel of ours in bfloat16
  ProductRates rates;             ///< CPU
};

/// What model.dtype: auto means: bfloat16 where every device wants it, else float32.
at::ScalarType choose_dtype(std::span<const PrecisionFacts> devices);

/// What model.dtype came to.
struct Precision {
  at::ScalarType dtype = at::kFloat;
  bool asked = false;  ///< not `auto`
  std::vector<PrecisionFacts> devices;
};
/// A CPU's products are measured by `measure`, and only where `asked` (model.dtype) makes them matter.
Precision settle_precision(const std::string& asked, std::span<const at::Device> devices,
                           const std::function<ProductRates()>& measure);

/// What is to be said of it: that `auto` computes in another dtype than the file has, and why; that a dtype that was
/// asked for is slower than half the other, or loses the promise of equal bits.
std::vector<std::string> precision_notes(const Precision& precision, at::ScalarType in_file);

/// Small products in both dtypes on one thread, by turns, each the fastest of several: some 20 ms, a fifth of a second
/// where bfloat16 is emulated.
ProductRates measure_products();

/// "float32", "bfloat16" or "float16".
std::string dtype_name(at::ScalarType dtype);

}  // namespace finetune
