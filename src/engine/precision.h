// Which dtype a run computes in: model.dtype (design contract, 13.2). The choice is a function of plain facts; what it
// was is written to run.yaml and best.yaml, so that a run is the same elsewhere.
//
// On a GPU bfloat16 from compute capability 8.0, whatever the file has. On a CPU bfloat16 where the processor has
// instructions for it and its products, rounding of operands included, run at least 1.5 times as fast as those of
// float32 at the model's own sizes: the weights are bfloat16 then, and so are the operands of their products, while
// sums, activations, adapters and all other kernels stay float32 (kernels/api/rounded_product.h), with their promise of
// equal bits. So nothing of a step is slower than in float32. Full fine-tuning trains weights in float32, of which
// bfloat16 would be a copy beside them, and in a model narrower than kNarrow products are not what takes time: there a
// CPU stays with float32 unless told otherwise.
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
  int capability = 0;   ///< GPU: 10 x major + minor
  std::string against;  ///< CPU: why it is float32 whatever products take; "": they decide
  ProductRates rates;   ///< CPU
};

/// What model.dtype: auto means: bfloat16 where every device wants it, else float32.
at::ScalarType choose_dtype(std::span<const PrecisionFacts> devices);

/// What model.dtype came to.
struct Precision {
  at::ScalarType dtype = at::kFloat;
  bool asked = false;  ///< not `auto`
  std::vector<PrecisionFacts> devices;
};
/// Of a run: the model's width, and train.method.
struct PrecisionCase {
  std::int64_t width = 0;
  bool full = false;
};
inline constexpr std::int64_t kNarrow = 128;
/// PrecisionFacts::against of the processor.
std::string against_bfloat16(const PrecisionCase& one);

/// A CPU's products are measured by `measure`, and only where they matter.
Precision settle_precision(const std::string& asked, const PrecisionCase& one, std::span<const at::Device> devices,
                           const std::function<ProductRates()>& measure);

/// What a whole model is trained in where adapters have what it came to: `auto` is float32 for it on a processor.
at::ScalarType dtype_of_full(const Precision& precision);

/// Why `auto` is what it is on these devices, for people.
std::string why_auto(std::span<const PrecisionFacts> devices);

/// What is to be said of it: that `auto` computes in another dtype than the file has, or in bfloat16 on a CPU, and why;
/// that a dtype that was asked for is slower than half the other.
std::vector<std::string> precision_notes(const Precision& precision, at::ScalarType in_file);

/// Products of a model's widest matrix, or of a part of it, in both dtypes on one thread, by turns, each the fastest of
/// several, in seconds of that thread alone, which do not hang on what else runs: some 20 ms.
ProductRates measure_products(std::int64_t width, std::int64_t mlp_width);

/// "float32", "bfloat16" or "float16".
std::string dtype_name(at::ScalarType dtype);

}  // namespace finetune
