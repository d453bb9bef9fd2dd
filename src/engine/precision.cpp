#include "engine/precision.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/calibration/device_clock.h"
#include "engine/rates.h"
#include "kernels/api/rounded_product.h"
#include "kernels/torch/gpu.h"

namespace finetune {
namespace {

// Below this the time between the products, which does not shrink, leaves nothing of the gain.
constexpr double kWorthIt = 1.5;
// An explicit dtype is warned of below this share of the other's rate.
constexpr double kSlow = 0.5;

bool wants_bfloat16(const PrecisionFacts& facts) {
  if (facts.gpu) return facts.capability >= ops::kAmpere;
  return facts.against.empty() && facts.rates.bfloat16 >= kWorthIt * facts.rates.float32;
}

std::string capability_text(int capability) {
  return fmt::format("compute capability {}.{}", capability / 10, capability % 10);
}

// Why `auto` means float32 (or bfloat16) on this device.
std::string reason(const PrecisionFacts& facts) {
  if (facts.gpu) return facts.device + " has " + capability_text(facts.capability);
  if (!facts.against.empty()) return facts.against;
  return fmt::format("its bfloat16 products run at {:.1f} times the rate of float32",
                     facts.rates.bfloat16 / facts.rates.float32);
}

std::optional<std::string> warning(at::ScalarType asked, const PrecisionFacts& facts) {
  const std::string key = "model.dtype=" + dtype_name(asked);
  if (facts.gpu) {
    if (wants_bfloat16(facts) == (asked == at::kBFloat16)) return std::nullopt;
    return fmt::format("{} is slow on {} ({}); auto is {}", key, facts.device, capability_text(facts.capability),
                       dtype_name(choose_dtype(std::span(&facts, 1))));
  }
  const auto [float32, bfloat16] = facts.rates;
  const double mine = asked == at::kBFloat16 ? bfloat16 : float32, other = asked == at::kBFloat16 ? float32 : bfloat16;
  if (mine == 0 || mine >= kSlow * other) return std::nullopt;
  return fmt::format("{} on a CPU: its products run at {:.2g} times the rate of {}; auto is {}", key, mine / other,
                     dtype_name(asked == at::kBFloat16 ? at::kFloat : at::kBFloat16),
                     dtype_name(choose_dtype(std::span(&facts, 1))));
}

// The first that wants what all of them get.
const PrecisionFacts& deciding(std::span<const PrecisionFacts> devices) {
  const bool bfloat16 = choose_dtype(devices) == at::kBFloat16;
  return *std::ranges::find_if(devices, [&](const PrecisionFacts& facts) { return wants_bfloat16(facts) == bfloat16; });
}

// Of `auto`.
std::string conversion(const Precision& precision, at::ScalarType in_file) {
  const PrecisionFacts& why = deciding(precision.devices);
  const std::string file = in_file == precision.dtype ? "" : "checkpoint is " + dtype_name(in_file) + "; ";
  return fmt::format("{}computing in {} on {}: {}", file, dtype_name(precision.dtype),
                     why.gpu ? why.device : "this CPU", reason(why));
}

// One thread, so that threads that wait for each other on a busy machine are no part of what is measured.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace

at::ScalarType choose_dtype(std::span<const PrecisionFacts> devices) {
  return std::ranges::all_of(devices, wants_bfloat16) ? at::kBFloat16 : at::kFloat;
}

std::string against_bfloat16(const PrecisionCase& one) {
  if (kernels::cpu::bfloat16_unit()[0] == 0) return "it has no instructions for bfloat16";
  if (one.full) return "the weights that are trained are float32";
  if (one.width < kNarrow) return fmt::format("a model of width {} is too narrow to gain by bfloat16", one.width);
  return "";
}

Precision settle_precision(const std::string& asked, const PrecisionCase& one, std::span<const at::Device> devices,
                           const std::function<ProductRates()>& measure) {
  Precision precision{.asked = asked != "auto"};
  std::optional<ProductRates> rates;  // of the one processor
  for (const at::Device& device : devices) {
    PrecisionFacts facts{.device = device.str(), .gpu = !device.is_cpu()};
    facts.capability = ops::compute_capability(device);
    if (!facts.gpu) facts.against = against_bfloat16(one);
    if (!facts.gpu && (asked == "bfloat16" || facts.against.empty())) {
      if (!rates) rates = measure();
      facts.rates = *rates;
    }
    precision.devices.push_back(std::move(facts));
  }
  precision.dtype = !precision.asked      ? choose_dtype(precision.devices)
                    : asked == "bfloat16" ? at::kBFloat16
                                          : at::kFloat;
  return precision;
}

at::ScalarType dtype_of_full(const Precision& precision) {
  const bool computed_here = std::ranges::any_of(precision.devices, [](const auto& device) { return !device.gpu; });
  return !precision.asked && computed_here ? at::kFloat : precision.dtype;
}

std::string why_auto(std::span<const PrecisionFacts> devices) {
  return reason(deciding(devices));
}

std::vector<std::string> precision_notes(const Precision& precision, at::ScalarType in_file) {
  std::vector<std::string> lines;
  const bool unexpected = precision.dtype == at::kBFloat16 && !precision.devices.front().gpu;
  if (!precision.asked && (unexpected || in_file != precision.dtype)) lines.push_back(conversion(precision, in_file));
  if (!precision.asked) return lines;
  for (const PrecisionFacts& facts : precision.devices) {
    const auto line = warning(precision.dtype, facts);
    if (line && !std::ranges::count(lines, *line)) lines.push_back(*line);
  }
  return lines;
}

ProductRates measure_products(std::int64_t width, std::int64_t mlp_width) {
  constexpr std::int64_t kRows = 256, kMultiplications = 250'000'000;  // 4 ms of a core in float32
  const OneThread one_thread;
  const std::int64_t most = std::max<std::int64_t>(64, kMultiplications / (kRows * width));
  return product_rates(at::kCPU, {.rows = kRows, .depth = width, .columns = std::min(2 * mlp_width, most)}, 0.02,
                       thread_clock());
}

std::string dtype_name(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? "bfloat16" : dtype == at::kHalf ? "float16" : "float32";
}

}  // namespace finetune
