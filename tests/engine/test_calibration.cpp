// Kernels on trial: what is wrong with one is found and said, what is right is taken where it is not slower. The
// kernels of the CPU stand in for a GPU's, and some of them are broken on purpose.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/error.h"
#include "engine/calibration/measure_kernels.h"

namespace finetune::testing {
namespace {

// Nothing is a multiple of 8, heads are grouped.
const KernelShape kShape{.width = 52,
                         .mlp_width = 77,
                         .layers = 2,
                         .heads = 6,
                         .kv_heads = 2,
                         .head_dim = 10,
                         .vocab_size = 301,
                         .rank = 16};
const CaseSize kSize{.tokens = 37, .segment = 9};

Measured try_kernel(ops::Operation operation, const ops::Backend& written, at::ScalarType dtype = at::kFloat,
                    const DeviceClock& clock = device_clock(at::kCPU)) {
  return measure_case(make_case(operation, kShape, dtype, kSize, at::kCPU),
                      {.composition = ops::composite_backend(), .written = written, .clock = clock});
}

ops::Backend with(const std::function<void(ops::Backend&)>& change) {
  ops::Backend backend = ops::cpu_backend();
  change(backend);
  return backend;
}

// A clock that gives each side its time: the composition is called first.
DeviceClock scripted(double composition, double written) {
  return [=, calls = 0](const std::function<void()>& work) mutable {
    work();
    return calls++ % 2 == 0 ? composition : written;
  };
}

void expect_wrong(const Measured& one, const std::string& said) {
  EXPECT_TRUE(one.is_wrong);
  EXPECT_FALSE(one.takes_written);
  EXPECT_NE(one.why.find(said), std::string::npos) << one.why;
}

class RightKernels : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Families, RightKernels, ::testing::Bool());

TEST_P(RightKernels, EveryKernelOfTheCpuIsRight) {
  KernelShape shape = kShape;
  if (GetParam()) {
    shape.gelu = shape.unit_offset_norm = true;
    shape.window = 4;
    shape.softcap = 20;
  }
  const std::vector<CaseSize> sizes{kSize, {.tokens = 8, .segment = 8}};
  const auto all = measure_kernels(shape, at::kFloat, sizes, at::kCPU, contest_on(at::kCPU));
  std::size_t operations = 0;
  for (const ops::Operation operation : ops::kOperations) {
    const auto count = std::ranges::count(all, operation, &Measured::operation);
    EXPECT_GE(count, 1) << ops::name_of(operation);
    operations += count > 0 ? 1 : 0;
  }
  EXPECT_EQ(operations, std::size(ops::kOperations));
  for (const Measured& one : all) {
    EXPECT_TRUE(one.has_kernel) << ops::name_of(one.operation);
    EXPECT_FALSE(one.is_wrong) << ops::name_of(one.operation) << ": " << one.why;
    EXPECT_GT(one.composition_s, 0);
    EXPECT_GT(one.written_s, 0);
    EXPECT_GT(one.bytes, 0);
    EXPECT_GT(one.flops, 0);
  }
  EXPECT_FALSE(is_some_wrong(all));
}

// The composition in bfloat16 beside that in float32: within the bound, so that a kernel that rounds as it does passes.
TEST(Calibration, RoundingToBfloat16IsNotWrong) {
  const ops::Backend other = with([](ops::Backend& backend) {
    const auto& composition = ops::composite_backend();
    backend = composition;
    backend.rmsnorm_forward = [](const at::Tensor& x, const ops::NormWeight& w, double e, at::Tensor& y,
                                 at::Tensor& r) { ops::composite_backend().rmsnorm_forward(x, w, e, y, r); };
    backend.cross_entropy = [](const at::Tensor& l, const at::Tensor& t, const at::Tensor& s, at::Tensor& n,
                               at::Tensor& c,
                               const at::Tensor& d) { ops::composite_backend().cross_entropy(l, t, s, n, c, d); };
    backend.adapter_forward = [](const at::Tensor& x, const ops::AdapterGroups& g,
                                 std::span<const ops::AdapterOutput> o) {
      ops::composite_backend().adapter_forward(x, g, o);
    };
    backend.attention_forward = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const ops::Segments& s, const ops::AttentionOptions& o, at::Tensor& out,
                                   at::Tensor& lse) {
      ops::composite_backend().attention_forward(q, k, v, s, o, out, lse);
    };
  });
  for (const auto operation : {ops::Operation::rmsnorm, ops::Operation::entropy, ops::Operation::adapter,
                               ops::Operation::dropped_adapter, ops::Operation::attention}) {
    const Measured one = try_kernel(operation, other, at::kBFloat16);
    EXPECT_TRUE(one.has_kernel);
    EXPECT_FALSE(one.is_wrong) << ops::name_of(operation) << ": " << one.why;
    EXPECT_GT(one.error, error_bound(at::kFloat)) << ops::name_of(operation) << ": nothing was rounded";
  }
}

TEST(Calibration, AKernelThatIsOffIsWrong) {
  const Measured one =
      try_kernel(ops::Operation::rmsnorm, with([](ops::Backend& backend) {
                   backend.rmsnorm_backward = [](const at::Tensor& dy, const at::Tensor& x, const ops::NormWeight& w,
                                                 const at::Tensor& r, at::Tensor& dx, bool more, const at::Tensor& dw) {
                     ops::cpu_backend().rmsnorm_backward(dy, x, w, r, dx, more, dw);
                     dx.mul_(1.0001);
                   };
                 }));
  expect_wrong(one, "wrong: dx is off by 1.0e-04 of its norm");
}

TEST(Calibration, ARowThatIsNotWrittenShows) {
  expect_wrong(try_kernel(ops::Operation::glu, with([](ops::Backend& backend) {
                            backend.glu_forward = [](ops::Activation kind, const at::Tensor& gate, const at::Tensor& up,
                                                     at::Tensor& h) {
                              at::Tensor most = h.narrow(0, 0, h.size(0) - 1);
                              ops::cpu_backend().glu_forward(kind, gate.narrow(0, 0, most.size(0)),
                                                             up.narrow(0, 0, most.size(0)), most);
                            };
                          })),
               "wrong: h is not finite everywhere");
}

// By less than the bound, so that only the bits tell.
TEST(Calibration, AKernelOfOtherBitsEachTimeIsWrong) {
  expect_wrong(try_kernel(ops::Operation::adapter, with([](ops::Backend& backend) {
                            backend.adapter_backward = [](const at::Tensor& x, const ops::AdapterGroups& groups,
                                                          std::span<const ops::AdapterOutputGradient> outputs,
                                                          at::Tensor& dx) {
                              static std::atomic<int> calls = 0;
                              ops::cpu_backend().adapter_backward(x, groups, outputs, dx);
                              outputs[1].db_SOR.mul_(1 + 1e-6 * (calls++ % 2));
                            };
                          })),
               "two runs differ in the bits of db");
}

TEST(Calibration, WhatAKernelThrowsIsSaid) {
  expect_wrong(try_kernel(ops::Operation::unpacking, with([](ops::Backend& backend) {
                            backend.dequantize = [](const ops::PackedMatrix&, at::Tensor&) {
                              TORCH_CHECK(false, "kernel: no kernel image is available\nand a stack");
                            };
                          })),
               "wrong: throws kernel: no kernel image is available");
  expect_wrong(try_kernel(ops::Operation::decoding, with([](ops::Backend& backend) {
                            backend.row_product = [](const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                     at::Tensor&, bool) { throw std::runtime_error("odd"); };
                          })),
               "wrong: throws odd");
}

TEST(Calibration, TheSlowerOneIsLeft) {
  const Measured slow = try_kernel(ops::Operation::glu, with([](ops::Backend& backend) {
                                     backend.glu_forward = [](ops::Activation kind, const at::Tensor& gate,
                                                              const at::Tensor& up, at::Tensor& h) {
                                       std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                       ops::cpu_backend().glu_forward(kind, gate, up, h);
                                     };
                                   }));
  EXPECT_FALSE(slow.is_wrong);
  EXPECT_FALSE(slow.takes_written) << slow.why;
  EXPECT_GE(slow.written_s, 0.02);
  const auto at = [](double composition, double written) {
    return try_kernel(ops::Operation::glu, ops::cpu_backend(), at::kFloat, scripted(composition, written));
  };
  EXPECT_TRUE(at(1e-3, 1.09e-3).takes_written) << "a tenth is allowed";
  EXPECT_FALSE(at(1e-3, 1.11e-3).takes_written);
  EXPECT_EQ(at(1e-3, 1.11e-3).why, "0.90 of the speed");
  EXPECT_EQ(at(3e-3, 1e-3).why, "3.0 times as fast");
}

TEST(Calibration, WhereThereIsNoKernelTheCompositionIsTimed) {
  const Measured one = try_kernel(ops::Operation::rmsnorm, ops::composite_backend());
  EXPECT_FALSE(one.has_kernel);
  EXPECT_FALSE(one.is_wrong);
  EXPECT_FALSE(one.takes_written);
  EXPECT_GT(one.composition_s, 0);
  EXPECT_EQ(one.written_s, 0);
}

TEST(Calibration, ManyCallsOfWhatTakesLongAreNotTimed) {
  int calls = 0;
  const DeviceClock clock = [&](const std::function<void()>&) {
    ++calls;
    return 1.0;
  };
  measure_case(make_case(ops::Operation::rmsnorm, kShape, at::kFloat, kSize, at::kCPU),
               {.composition = ops::composite_backend(), .written = ops::cpu_backend(), .clock = clock});
  EXPECT_EQ(calls, 2 * (1 + 3));
}

Measured row(ops::Operation operation, double composition, double written, bool wrong = false) {
  return {.operation = operation,
          .composition_s = composition,
          .written_s = written,
          .has_kernel = true,
          .is_wrong = wrong};
}

TEST(Calibration, AnOperationIsJudgedByAllItsSizes) {
  using enum ops::Operation;
  const std::vector<Measured> all{row(glu, 1, 2),         row(glu, 10, 5),     // slower where it is short anyway
                                  row(rmsnorm, 1, 0.1),   row(rmsnorm, 5, 9),  // slower where it counts
                                  row(entropy, 5, 1),     row(entropy, 9, 1, true),
                                  row(attention, 1, 1.1), {.operation = decoding, .composition_s = 1}};
  EXPECT_EQ(written_operations(all), (std::vector<ops::Operation>{attention, glu}));
  EXPECT_TRUE(is_some_wrong(all));
}

TEST(Calibration, MeasurementsSurviveJson) {
  Measured one = row(ops::Operation::entropy, 0.25, 0.125);
  one.rows = 77;
  one.error = 3e-7;
  one.bytes = 1e6;
  one.flops = 2e6;
  one.takes_written = true;
  one.why = "2.0 times as fast";
  const auto json = to_json(one);
  EXPECT_EQ(to_json(measured_from_json("x", json)), json);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, nlohmann::ordered_json>>{{"operation", "rmsnormal"},
                                                                   {"dtype", "float64"},
                                                                   {"rows", -1},
                                                                   {"written_seconds", "fast"},
                                                                   {"kernel", 1},
                                                                   {"choice", "graph"},
                                                                   {"why", 3}}) {
    auto broken = json;
    broken[key] = value;
    EXPECT_THROW(measured_from_json("x", broken), Error) << key;
    broken.erase(key);
    EXPECT_THROW(measured_from_json("x", broken), Error) << key;
  }
  const auto shape = to_json(kShape);
  EXPECT_EQ(kernel_shape_from_json("x", shape), kShape);
  for (const char* key : {"width", "heads", "gelu", "softcap"}) {
    auto broken = shape;
    broken[key] = -3;
    EXPECT_THROW(kernel_shape_from_json("x", broken), Error) << key;
    broken.erase(key);
    EXPECT_THROW(kernel_shape_from_json("x", broken), Error) << key;
  }
}

}  // namespace
}  // namespace finetune::testing
