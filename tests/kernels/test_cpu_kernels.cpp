// The kernels for a CPU: strides between rows are honoured (on rows that lie apart in a wider tensor the same bits as
// on rows side by side, and nothing between them is touched), elements of a row that lie apart are refused, and values
// are those of the oracle in kernels/ref.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/api/attention.h"
#include "kernels/api/cached_attention.h"
#include "kernels/api/packed.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/row_product.h"
#include "kernels/api/softcap.h"
#include "kernels/cpu/table.h"
#include "kernels/torch/backend.h"

namespace finetune::testing {
namespace {

using at::Tensor;
constexpr double kBetween = 77;  // what stands between the rows

// The same values, in columns [3, 3 + width) of a wider tensor.
Tensor apart(const Tensor& x) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  const std::int64_t width = x.numel() / x.size(0);
  Tensor wide = at::full({x.size(0), width + 8}, kBetween, x.options());
  Tensor inside = wide.narrow(1, 3, width).view(shape);
  inside.copy_(x);
  return inside;
}
// Whether what stands around those columns is as it was.
bool untouched(const Tensor& x) {
  const std::int64_t width = x.numel() / x.size(0);
  const Tensor wide = x.as_strided({x.size(0), width + 8}, {width + 8, 1}, x.storage_offset() - 3);
  return wide.narrow(1, 0, 3).eq(kBetween).all().item<bool>() &&
         wide.narrow(1, width + 3, 5).eq(kBetween).all().item<bool>();
}

// Runs `call` on `inputs` and on copies of them that lie apart; all are compared afterwards.
template <typename Call>
void expect_the_same(const std::vector<Tensor>& inputs, const Call& call) {
  std::vector<Tensor> together, separate;
  for (const Tensor& x : inputs) {
    together.push_back(x.clone());
    separate.push_back(apart(x));
  }
  call(together);
  call(separate);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(at::equal(together[i], separate[i])) << i;
    EXPECT_TRUE(untouched(separate[i])) << i;
  }
}

class CpuKernels : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(5); }
  const ops::Backend& cpu_ = ops::cpu_backend();
};

TEST_F(CpuKernels, Rmsnorm) {
  const Tensor w = at::randn({19});
  for (const bool accumulate : {false, true}) {
    expect_the_same({at::randn({70, 19}), at::randn({70, 19}), at::randn({70, 19}), at::randn({70, 19})},
                    [&](std::vector<Tensor>& t) {
                      Tensor rstd = at::empty({70}), dw = at::zeros({19});
                      cpu_.rmsnorm_forward(t[0], w, 1e-5, t[1], rstd);
                      cpu_.rmsnorm_backward(t[2], t[0], w, rstd, t[3], accumulate, dw);
                    });
  }
}

constexpr ops::Activation kActivations[] = {ops::Activation::silu, ops::Activation::gelu_tanh};

TEST_F(CpuKernels, GatedUnits) {
  std::vector<Tensor> rows;
  for (int i = 0; i < 6; ++i) rows.push_back(at::randn({70, 21}));
  for (const auto activation : kActivations) {
    expect_the_same(rows, [&](std::vector<Tensor>& t) {
      cpu_.glu_forward(activation, t[0], t[1], t[2]);
      cpu_.glu_backward(activation, t[3], t[0], t[1], t[4], t[5]);
    });
  }
}

TEST_F(CpuKernels, Softcap) {
  expect_the_same({at::randn({70, 21}) * 3, at::randn({70, 21})},
                  [&](std::vector<Tensor>& t) { cpu_.softcap(2.5, t[0], t[1]); });
}

// From far below to far above the cap, and where tanh is nearly its argument.
TEST_F(CpuKernels, SoftcapEqualsTheOracle) {
  const Tensor x = at::cat({at::linspace(-200, 200, 501), at::linspace(-2, 2, 501), at::linspace(-1e-4, 1e-4, 98)});
  Tensor mine = x.view({10, 110}).clone(), composed = mine.clone(), oracle = mine.clone();
  Tensor slope = at::empty_like(mine), composed_slope = at::empty_like(mine), oracle_slope = at::empty_like(mine);
  kernels::ref::softcap({.type = kernels::Type::f32,
                         .cap = 30,
                         .x = oracle.data_ptr(),
                         .x_row = 110,
                         .slope = oracle_slope.data_ptr(),
                         .slope_row = 110,
                         .rows = 10,
                         .width = 110},
                        {});
  cpu_.softcap(30, mine, slope);
  ops::composite_backend().softcap(30, composed, composed_slope);
  // tanh to 3e-7 and three roundings of 6e-8, relative; a slope near 0 is one minus a square.
  for (const Tensor& y : {mine, composed}) EXPECT_TRUE(((y - oracle).abs() <= 6e-7 * oracle.abs()).all().item<bool>());
  for (const Tensor& s : {slope, composed_slope}) EXPECT_LT((s - oracle_slope).abs().max().item<double>(), 8e-7);
}

TEST_F(CpuKernels, Rotary) {
  const Tensor angles = at::randn({9, 3}), positions = at::tensor({8, 0, 3, 3}, at::kInt);
  expect_the_same({at::randn({4, 2, 6})},
                  [&](std::vector<Tensor>& t) { cpu_.rotary(t[0], angles.cos(), angles.sin(), positions, false); });
}

TEST_F(CpuKernels, CrossEntropy) {
  const Tensor targets = at::tensor({0, 16, 5}, at::kLong), scale = at::randn({3});
  expect_the_same({at::randn({3, 17}), at::randn({3, 17})}, [&](std::vector<Tensor>& t) {
    Tensor nll = at::empty({3}), correct = at::empty({3}, at::kByte);
    cpu_.cross_entropy(t[0], targets, scale, nll, correct, t[1]);
  });
}

TEST_F(CpuKernels, Attention) {
  const ops::Segments segments = ops::make_segments({0, 1, 6, 13}, 7, at::kCPU);
  const auto heads = [](std::int64_t count) { return at::randn({13, count, 5}); };
  expect_the_same({heads(4), heads(2), heads(2), heads(4), heads(4), heads(4), heads(2), heads(2)},
                  [&](std::vector<Tensor>& t) {
                    Tensor lse = at::empty({4, 13});
                    cpu_.attention_forward(t[0], t[1], t[2], segments, {0.3, 3}, t[3], lse);
                    cpu_.attention_backward(t[4], t[0], t[1], t[2], t[3], lse, segments, {0.3, 3}, t[5], t[6], t[7]);
                  });
}

TEST_F(CpuKernels, Adapters) {
  const ops::AdapterGroups groups = ops::make_adapter_groups(
      {{.begin = 0, .end = 70, .slot = 1, .rank = 8, .projections = 2, .scale = 2},
       {.begin = 71, .end = 80, .slot = 0, .rank = 16, .projections = 2, .scale = 0.5f, .dropout = 0.3f, .seed = 9}});
  const Tensor a = at::randn({2, 16, 13}), b = at::randn({2, 19, 16});
  expect_the_same(
      {at::randn({80, 13}), at::zeros({80, 16}), at::randn({80, 19}), at::randn({80, 19}), at::randn({80, 13})},
      [&](std::vector<Tensor>& t) {
        const ops::AdapterOutput output{1, 3, a, b, t[1], t[2]};
        const Tensor da = at::zeros_like(a), db = at::zeros_like(b);
        const ops::AdapterOutputGradient gradient{1, 3, a, b, t[1], t[3], da, db};
        cpu_.adapter_forward(t[0], groups, {&output, 1});
        cpu_.adapter_backward(t[0], groups, {&gradient, 1}, t[4]);
      });
}

TEST_F(CpuKernels, ElementsOfARowThatLieApartAreRefused) {
  const Tensor x = at::randn({4, 4}), turned = x.t(), w = at::ones({4});
  Tensor y = at::empty({4, 4}), y_turned = y.t(), rstd = at::empty({4}), dx = at::empty({4, 4}),
         lse = at::empty({2, 4});
  const auto refused = [](const auto& call) {
    try {
      call();
      return false;
    } catch (const c10::Error& error) {
      return std::string(error.what()).find("contiguous") != std::string::npos;
    }
  };
  EXPECT_TRUE(refused([&] { cpu_.rmsnorm_forward(turned, w, 1e-5, y, rstd); }));
  EXPECT_TRUE(refused([&] { cpu_.rmsnorm_forward(x, w, 1e-5, y_turned, rstd); }));
  EXPECT_TRUE(refused([&] { cpu_.glu_forward(ops::Activation::silu, x, turned, y); }));
  const Tensor heads = at::randn({4, 3, 2}).transpose(1, 2).contiguous().transpose(1, 2);  // heads of a row interleaved
  Tensor turned_heads = heads;
  EXPECT_TRUE(refused([&] {
    cpu_.rotary(turned_heads, at::ones({4, 1}), at::ones({4, 1}), at::tensor({0, 1, 2, 3}, at::kInt), false);
  }));
  EXPECT_FALSE(refused([&] { cpu_.rmsnorm_forward(x, w, 1e-5, y, rstd); }));
}

TEST_F(CpuKernels, WhatIsOfAnotherShapeIsRefused) {
  const Tensor x = at::randn({4, 6});
  Tensor y = at::empty({4, 5}), rstd = at::empty({4});
  EXPECT_THROW(cpu_.rmsnorm_forward(x, at::ones({6}), 1e-5, y, rstd), c10::Error);
  EXPECT_THROW(cpu_.glu_forward(ops::Activation::silu, x, at::randn({3, 6}), y), c10::Error);
}

// Multiplied by 1 + w: the kernel and the composition beside the oracle, in bf16 too, where what is rounded last shows.
TEST_F(CpuKernels, RmsnormOfOnePlusWEqualsTheOracle) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const bool wide = dtype == at::kFloat;
    const kernels::Type type = wide ? kernels::Type::f32 : kernels::Type::bf16;
    const Tensor x = at::randn({70, 19}).to(dtype), w = at::randn({19}).to(dtype), dy = at::randn({70, 19}).to(dtype);
    Tensor y2 = at::empty_like(x), rstd2 = at::empty({70}), dx2 = at::ones_like(x);
    kernels::ref::rmsnorm_forward({type, x.data_ptr(), 19, w.data_ptr(), 1e-5f, y2.data_ptr(), 19,
                                   rstd2.data_ptr<float>(), 70, 19, /*unit_offset=*/true},
                                  {});
    kernels::ref::rmsnorm_backward({type, dy.data_ptr(), 19, x.data_ptr(), 19, w.data_ptr(), rstd2.data_ptr<float>(),
                                    dx2.data_ptr(), 19, true, 70, 19, /*unit_offset=*/true},
                                   {});
    for (const ops::Backend* backend : {&ops::composite_backend(), &cpu_}) {
      if (!wide && backend == &cpu_) continue;
      Tensor y = at::empty_like(x), rstd = at::empty({70}), dx = at::ones_like(x);
      backend->rmsnorm_forward(x, {w, true}, 1e-5, y, rstd);
      backend->rmsnorm_backward(dy, x, {w, true}, rstd, dx, true, {});
      // float32: some twenty roundings of 6e-8. bf16: the same value rounded to 8 bits, on either side of a tie.
      for (const auto& [actual, expected] : {std::pair{y, y2}, std::pair{dx, dx2}}) {
        const Tensor e = expected.to(at::kDouble), error = (actual.to(at::kDouble) - e).abs();
        EXPECT_TRUE((error <= (wide ? 3e-6 : 0.0079) * (wide ? 1 + e.abs() : e.abs())).all().item<bool>());
        if (!wide) {
          EXPECT_LT(error.gt(0).sum().item<std::int64_t>(), 14);  // of 1,330: ties are rare
        }
      }
    }
  }
}

// The kernels and the plain C++ oracle: sums of at most 61 products of numbers near 1, each rounded to 6e-8.
TEST_F(CpuKernels, AttentionEqualsTheOracle) {
  const std::vector<std::int32_t> bounds{0, 1, 40, 40, 101};
  const auto heads = [](std::int64_t count) { return at::randn({101, count, 10}); };
  const Tensor q = heads(4), k = heads(2), v = heads(2), d = heads(4);
  const ops::Segments segments = ops::make_segments(bounds, 61, at::kCPU);
  const auto f = [](const Tensor& t) { return t.data_ptr<float>(); };
  for (const auto& [window, cap] : {std::pair{0, 0.0}, std::pair{7, 0.0}, std::pair{0, 0.5}, std::pair{7, 0.5}}) {
    const ops::AttentionOptions options{.scale = 0.3, .window = window, .softcap = cap};
    Tensor o = at::empty_like(q), lse = at::empty({4, 101}), dq = at::empty_like(q), dk = at::empty_like(k),
           dv = at::empty_like(v), o2 = at::empty_like(q), lse2 = at::empty({4, 101}), dq2 = at::empty_like(q),
           dk2 = at::empty_like(k), dv2 = at::empty_like(v);
    cpu_.attention_forward(q, k, v, segments, options, o, lse);
    cpu_.attention_backward(d, q, k, v, o, lse, segments, options, dq, dk, dv);
    const kernels::Attention of{
        kernels::Type::f32,     f(q), f(k), f(v), 40, 20, 20, bounds.data(), 4, 61, 4, 2, 10, window, 0.3f,
        static_cast<float>(cap)};
    kernels::ref::attention_forward({of, f(o2), 40, f(lse2), 101}, {});
    kernels::ref::attention_backward({of, f(d), f(o2), 40, 40, f(lse2), 101, f(dq2), f(dk2), f(dv2), 40, 20, 20}, {});
    for (const auto& [actual, expected] :
         {std::pair{o, o2}, std::pair{lse, lse2}, std::pair{dq, dq2}, std::pair{dk, dk2}, std::pair{dv, dv2}}) {
      EXPECT_LT((actual - expected).abs().max().item<double>(), 3e-6 * (1 + expected.abs().max().item<double>()));
    }
  }
}

// By the plain C++ oracle, of the same tensors.
void expect_near(const Tensor& actual, const Tensor& expected) {
  // Sums of up to 70 products of numbers near 1, in float32.
  EXPECT_LE((actual - expected).abs().max().item<double>(), 2e-5);
}

TEST_F(CpuKernels, RowProduct) {
  for (const bool accumulate : {false, true}) {
    expect_the_same({at::randn({19, 70}), at::randn({19, 53})}, [&](std::vector<Tensor>& t) {
      at::manual_seed(6);
      const Tensor w = at::randn({53, 70}), bias = at::randn({53});
      Tensor expected = t[1].clone();
      const kernels::RowProduct args{.type = kernels::Type::f32,
                                     .x = t[0].data_ptr(),
                                     .x_row = t[0].stride(0),
                                     .w = w.data_ptr(),
                                     .w_row = 70,
                                     .bias = bias.data_ptr(),
                                     .y = expected.data_ptr(),
                                     .y_row = 53,
                                     .accumulate = accumulate,
                                     .rows = 19,
                                     .inputs = 70,
                                     .outputs = 53};
      EXPECT_TRUE(kernels::ref::row_product(args, {}).ok());
      cpu_.row_product(t[0], w, bias, t[1], accumulate);
      expect_near(t[1], expected);
    });
  }
}

TEST_F(CpuKernels, ARowOfARowProductHasItsBitsWhateverTheNumberOfRows) {
  const Tensor x = at::randn({300, 77}), w = at::randn({131, 77});
  Tensor all = at::empty({300, 131});
  cpu_.row_product(x, w, {}, all, false);
  for (const std::int64_t rows : {1, 2, 7, 16, 17, 129}) {
    for (const std::int64_t first : {0, 5, 170}) {
      Tensor some = at::empty({rows, 131});
      cpu_.row_product(x.narrow(0, first, rows), w, {}, some, false);
      EXPECT_TRUE(at::equal(some, all.narrow(0, first, rows))) << rows << " from " << first;
    }
  }
}

// Codes and scales of every kind; blocks that begin in one row and end in the next, and a last one that is not whole.
std::vector<ops::PackedMatrix> packed_matrices(std::int64_t rows, std::int64_t columns) {
  const std::int64_t elements = rows * columns, blocks = (elements + 63) / 64;
  const Tensor numbers = at::tensor(at::ArrayRef<float>(kernels::kNf4), at::kFloat);
  const ops::PackedMatrix nf4{.rows = rows,
                              .columns = columns,
                              .codes = at::randint(256, {(elements + 1) / 2}, at::kByte),
                              .absmax = at::rand({blocks}),
                              .numbers = numbers};
  ops::PackedMatrix doubled = nf4;
  doubled.absmax = at::rand({(blocks + 255) / 256});
  doubled.absmax_codes = at::randint(256, {blocks}, at::kByte);
  doubled.map = at::randn({256});
  doubled.offset = at::randn({1});
  return {nf4, doubled,
          ops::PackedMatrix{.code = kernels::Code::int8,
                            .rows = rows,
                            .columns = columns,
                            .codes = at::randint(-128, 128, {elements}, at::kChar),
                            .absmax = at::rand({rows})}};
}

float* floats(const Tensor& tensor) {
  return tensor.data_ptr<float>();
}

kernels::Packed arguments(const ops::PackedMatrix& m) {
  const bool doubled = m.absmax_codes.defined();
  return {.code = m.code,
          .codes = static_cast<const std::uint8_t*>(m.codes.data_ptr()),
          .absmax = floats(m.absmax),
          .absmax_codes = doubled ? m.absmax_codes.data_ptr<std::uint8_t>() : nullptr,
          .map = doubled ? floats(m.map) : nullptr,
          .offset = doubled ? floats(m.offset) : nullptr,
          .rows = m.rows,
          .columns = m.columns};
}

// The oracle, the kernel and the composition, bit for bit: bitsandbytes rounds after every product and sum.
TEST_F(CpuKernels, PackedNumbers) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, std::pair{3, 21}, std::pair{5, 64}, std::pair{173, 199}}) {
    for (const ops::PackedMatrix& m : packed_matrices(rows, columns)) {
      Tensor expected = at::empty({rows, columns}), kernel = at::empty({rows, columns}), composed = kernel.clone();
      EXPECT_TRUE(kernels::ref::dequantize({kernels::Type::f32, arguments(m), expected.data_ptr()}, {}).ok());
      cpu_.dequantize(m, kernel);
      ops::composite_backend().dequantize(m, composed);
      EXPECT_TRUE(at::equal(kernel, expected)) << rows << " x " << columns;
      EXPECT_TRUE(at::equal(composed, expected)) << rows << " x " << columns;
    }
  }
}

// Each instruction set that this processor has, also those that are not chosen here; from any element to any other.
TEST_F(CpuKernels, PackedNumbersOfEveryInstructionSet) {
  std::vector<const kernels::cpu::Table*> tables{&kernels::cpu::table_base()};
  if (__builtin_cpu_supports("avx2")) tables.push_back(&kernels::cpu::table_avx2());
  if (__builtin_cpu_supports("avx512f")) tables.push_back(&kernels::cpu::table_avx512());
  const auto matrices = packed_matrices(1, 400);
  for (const ops::PackedMatrix& m : {matrices.front(), matrices.back()}) {
    Tensor whole = at::empty({1, 400});
    EXPECT_TRUE(kernels::ref::dequantize({kernels::Type::f32, arguments(m), whole.data_ptr()}, {}).ok());
    for (const kernels::cpu::Table* table : tables) {
      for (const auto& [begin, end] : {std::pair{0, 400}, std::pair{7, 9}, std::pair{63, 300}, std::pair{128, 192}}) {
        Tensor part = at::empty({1, end - begin});
        if (m.code == kernels::Code::nf4)
          table->unpack_nf4(m.codes.data_ptr<std::uint8_t>(), floats(m.absmax) + begin / 64, begin, end, floats(part));
        else
          table->unpack_int8(m.codes.data_ptr<std::int8_t>() + begin, floats(m.absmax)[0], end - begin, floats(part));
        EXPECT_TRUE(at::equal(part, whole.narrow(1, begin, end - begin))) << table->name << " from " << begin;
      }
    }
  }
}

TEST_F(CpuKernels, ARowProductWithPackedWeightsHasTheBitsOfOneWithTheirNumbers) {
  for (const std::int64_t rows : {1, 5, 40}) {
    for (const ops::PackedMatrix& m : packed_matrices(83, 77)) {
      const Tensor x = at::randn({rows, 77}), bias = at::randn({83});
      Tensor w = at::empty({83, 77}), dense = at::zeros({rows, 83}), packed = dense.clone(), expected = dense.clone();
      cpu_.dequantize(m, w);
      cpu_.row_product(x, w, bias, dense, true);
      cpu_.packed_row_product(x, m, bias, packed, true);
      EXPECT_TRUE(at::equal(packed, dense)) << rows;
      const kernels::Packed from = arguments(m);
      const kernels::RowProduct args{.type = kernels::Type::f32,
                                     .x = x.data_ptr(),
                                     .x_row = 77,
                                     .packed = &from,
                                     .bias = bias.data_ptr(),
                                     .y = expected.data_ptr(),
                                     .y_row = 83,
                                     .rows = rows,
                                     .inputs = 77,
                                     .outputs = 83};
      EXPECT_TRUE(kernels::ref::row_product(args, {}).ok());
      // Weights of up to 128 in int8: sums of 77 products of numbers near 30.
      EXPECT_LE((packed - expected).abs().max().item<double>(), 1e-3);
    }
  }
}

// Of a trial's own rows too: what a text becomes does not hang on the trial's other texts.
TEST_F(CpuKernels, ARowOfAnAdapterProductHasItsBitsWhateverTheNumberOfRows) {
  const Tensor x = at::randn({90, 37}), a = at::randn({1, 16, 37}), b = at::randn({1, 29, 16}), y = at::randn({90, 29});
  const auto forward = [&](std::int64_t first, std::int64_t rows) {
    ops::AdapterGroup group;
    group.end = rows;
    group.projections = 1;
    group.scale = 0.3f;
    const Tensor result = y.narrow(0, first, rows).clone(), s = at::empty({rows, 16});
    cpu_.adapter_forward(
        x.narrow(0, first, rows), ops::make_adapter_groups({group}),
        std::vector<ops::AdapterOutput>{{.bit = 0, .key = 0, .a_SRD = a, .b_SOR = b, .s_TR = s, .y_TO = result}});
    return result;
  };
  const Tensor all = forward(0, 90);
  for (const std::int64_t rows : {1, 3, 4, 8, 13}) {
    for (const std::int64_t first : {0, 5, 70}) {
      EXPECT_TRUE(at::equal(forward(first, rows), all.narrow(0, first, rows))) << rows << " from " << first;
    }
  }
}

// Sequences of several lengths over blocks in no order, of which two share the first.
struct Cached {
  ops::CachedKeys keys{at::full({12, 2, 6, ops::kCacheBlock}, NAN), at::full({12, 2, ops::kCacheBlock, 6}, NAN)};
  ops::CacheRows rows;
  Cached() {
    const at::Tensor tables = at::tensor({7, 3, 0, 7, 9, 2, 5, 0, 0}, at::kInt).view({3, 3});
    const std::vector<std::int32_t> lengths{20, 40, 16};
    std::vector<std::int32_t> places, sequences;
    for (std::int32_t s = 0; s < 3; ++s) {
      for (std::int32_t t = 0; t < lengths[static_cast<std::size_t>(s)]; ++t) {
        const auto block = tables[s][t / ops::kCacheBlock].item<std::int32_t>();
        places.push_back(static_cast<std::int32_t>(block * ops::kCacheBlock + t % ops::kCacheBlock));
        sequences.push_back(s);
        rows.seen.push_back(t + 1);
      }
    }
    rows.places_T = at::tensor(at::ArrayRef<std::int32_t>(places), at::kInt);
    rows.sequences_T = at::tensor(at::ArrayRef<std::int32_t>(sequences), at::kInt);
    rows.seen_T = at::tensor(at::ArrayRef<std::int32_t>(rows.seen), at::kInt);
    rows.tables_SB = tables;
  }
};

TEST_F(CpuKernels, CachedAttentionIsThatOfTheOracleAndOfTheComposition) {
  for (const auto& [window, cap] : {std::pair{0, 0.0}, std::pair{9, 0.0}, std::pair{9, 0.7}}) {
    Cached here, there;
    const Tensor k = at::randn({76, 2, 6}), v = at::randn({76, 2, 6}), q = at::randn({76, 4, 6});
    cpu_.cache_append(k, v, here.rows, here.keys);
    ops::composite_backend().cache_append(k, v, there.rows, there.keys);
    // Block 0 is nobody's, and what was not written is not compared.
    EXPECT_TRUE(at::equal(here.keys.k_NGKC.nan_to_num(), there.keys.k_NGKC.nan_to_num()));
    EXPECT_TRUE(at::equal(here.keys.v_NGCK.nan_to_num(), there.keys.v_NGCK.nan_to_num()));
    const ops::AttentionOptions options{.scale = 0.4, .window = window, .softcap = cap};
    Tensor o = at::empty_like(q), composed = at::empty_like(q), oracle = at::empty_like(q);
    cpu_.cached_attention(q, here.keys, here.rows, options, o);
    ops::composite_backend().cached_attention(q, there.keys, there.rows, options, composed);
    const kernels::CachedAttention args{.type = kernels::Type::f32,
                                        .from = {here.keys.k_NGKC.data_ptr(), here.keys.v_NGCK.data_ptr(), 2, 6},
                                        .q = q.data_ptr(),
                                        .q_row = 24,
                                        .tables = here.rows.tables_SB.const_data_ptr<std::int32_t>(),
                                        .table_row = 3,
                                        .sequences = here.rows.sequences_T.const_data_ptr<std::int32_t>(),
                                        .seen = here.rows.seen.data(),
                                        .rows = 76,
                                        .heads = 4,
                                        .window = window,
                                        .longest = 40,
                                        .scale = 0.4f,
                                        .softcap = static_cast<float>(cap),
                                        .o = oracle.data_ptr(),
                                        .o_row = 24};
    EXPECT_TRUE(kernels::ref::cached_attention(args, {}).ok());
    expect_near(o, oracle);
    expect_near(composed, oracle);
  }
}

}  // namespace
}  // namespace finetune::testing
