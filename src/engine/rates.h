// What a device can do at most: products of matrices, and copies, measured in milliseconds.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "engine/calibration/device_clock.h"

namespace finetune {

/// Multiplications and additions a second of matrix products x w; 0 = not measured. bfloat16 is that of a model in it:
/// on the processor of x in float32, which is rounded, and w in bfloat16.
struct ProductRates {
  double float32 = 0, bfloat16 = 0;
};

struct ProductSize {
  std::int64_t rows = 0, depth = 0, columns = 0;
};
/// Both dtypes by turns, each the fastest of several: three at least, twelve where they fit into `seconds`.
ProductRates product_rates(at::Device device, const ProductSize& size, double seconds, const DeviceClock& clock);
ProductRates product_rates(at::Device device, const ProductSize& size, double seconds);
/// Of products that keep the whole device busy, on all threads.
ProductRates product_rates(at::Device device);

/// Bytes a second, read and written, of a copy within the device's memory, beyond its caches.
double copy_rate(at::Device device);

/// Threads that run or wait to run on this machine, on average of the last minute. Whatever is measured beside others
/// comes out too low.
double machine_load();

}  // namespace finetune
