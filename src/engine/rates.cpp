#include "engine/rates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

#include "engine/calibration/device_clock.h"
#include "kernels/torch/ops.h"
#include "models/weights.h"

namespace finetune {

ProductRates product_rates(at::Device device, const ProductSize& size, double seconds, const DeviceClock& clock) {
  constexpr int kTries = 12, kFewest = 3;
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(device);
  const at::Tensor a = at::ones({size.rows, size.depth}, floats), b = at::ones({size.columns, size.depth}, floats).t();
  const at::Tensor a16 = a.to(activation_dtype(at::kBFloat16, device.type())), b16 = b.to(at::kBFloat16);
  at::Tensor y = at::empty({size.rows, size.columns}, floats), y16 = y.to(a16.scalar_type());  // pages as in a step
  const auto product = [&](const at::Tensor& x, const at::Tensor& w) {
    return clock([&] { ops::product(x, w, x.scalar_type() == at::kFloat ? y : y16, false); });
  };
  product(a, b);  // libraries set themselves up
  product(a16, b16);
  double float32 = 1e9, bfloat16 = 1e9, spent = 0;
  for (int i = 0; i < kTries && (i < kFewest || spent < seconds); ++i) {
    const double one = product(a, b), other = product(a16, b16);
    float32 = std::min(float32, one);
    bfloat16 = std::min(bfloat16, other);
    spent += one + other;
  }
  const double work = 2.0 * static_cast<double>(size.rows * size.depth) * static_cast<double>(size.columns);
  return {work / float32, work / bfloat16};
}

ProductRates product_rates(at::Device device, const ProductSize& size, double seconds) {
  return product_rates(device, size, seconds, device_clock(device));
}

ProductRates product_rates(at::Device device) {
  const std::int64_t side = device.is_cpu() ? 1024 : 8192;
  return product_rates(device, {.rows = side, .depth = side, .columns = side}, 0.5);
}

double copy_rate(at::Device device) {
  constexpr int kTries = 6;
  const std::int64_t floats = device.is_cpu() ? std::int64_t{32} << 20 : std::int64_t{256} << 20;
  const at::Tensor from = at::ones({floats}, at::TensorOptions(at::kFloat).device(device)), to = at::zeros_like(from);
  const DeviceClock clock = device_clock(device);
  double fastest = 1e9;
  for (int i = 0; i < kTries; ++i) fastest = std::min(fastest, clock([&] { at::Tensor(to).copy_(from); }));
  return 2 * static_cast<double>(from.nbytes()) / fastest;
}

double machine_load() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

}  // namespace finetune
