// The CUDA kernels of weights and optimizer against their oracles in kernels/ref, at awkward sizes. Compiled twice: on
// a device (test_gpu_kernels), and with the kernels run thread by thread on the CPU (test_emulated_kernels).
#include "tests/kernels/cases.h"

namespace finetune::kernels::testing {
namespace {

struct Size {
  std::int64_t rows, width;
};

INSTANTIATE_TEST_SUITE_P(Types, Kernels, ::testing::Values(Type::f32, Type::bf16));

template <typename T>
std::vector<T> any_bytes(std::int64_t count, std::uint64_t seed) {
  std::vector<T> bytes;
  Random random(seed, Purpose::test);
  for (std::int64_t i = 0; i < count; ++i) bytes.push_back(static_cast<T>(random.below(256)));
  return bytes;
}

// Rounded product by product, so the bits are the oracle's.
TEST_P(Kernels, Dequantize) {
  const Type type = GetParam();
  for (const Size size : {Size{1, 1}, {3, 19}, {5, 111}, {33, 256}, {70, 300}}) {
    const std::int64_t rows = size.rows, width = size.width;
    const std::int64_t elements = rows * width, blocks = (elements + kNf4Block - 1) / kNf4Block;
    Buffer<std::uint8_t> codes(any_bytes<std::uint8_t>(elements, 1)), absmax_codes(any_bytes<std::uint8_t>(blocks, 2));
    Buffer<float> absmax(normals(std::max(blocks, rows), 3)), map(normals(256, 4)), offset(normals(1, 5));
    const auto packed = [&](Code code, bool doubled, bool host) {
      Packed p{.code = code, .rows = rows, .columns = width};
      p.codes = host ? codes.host.data() : codes.device();
      p.absmax = host ? absmax.host.data() : absmax.device();
      if (!doubled) return p;
      p.absmax_codes = host ? absmax_codes.host.data() : absmax_codes.device();
      p.map = host ? map.host.data() : map.device();
      p.offset = host ? offset.host.data() : offset.device();
      return p;
    };
    for (const auto& [code, doubled] : {std::pair{Code::nf4, false}, {Code::nf4, true}, {Code::int8, false}}) {
      Activations w(type, rows + 1, width, 6);  // the last row is not to be touched
      ASSERT_TRUE(ref::dequantize({type, packed(code, doubled, true), w.host()}, {}).ok());
      ASSERT_TRUE(cuda::dequantize({type, packed(code, doubled, false), w.device()}, {}).ok());
      EXPECT_EQ(w.actual(), w.expected()) << rows << " x " << width;
    }
  }
}

TEST_P(Kernels, AdamW) {
  if (GetParam() == Type::bf16) return;  // the state is fp32 only
  const std::int64_t slots = 6, stride = 9003, parameters = 9001;
  Buffer<float> p(normals(slots * stride, 1)), g(normals(slots * stride, 2)), m(normals(slots * stride, 3, 0.1));
  std::vector<float> squares = normals(slots * stride, 4, 0.1);
  for (float& value : squares) value *= value;
  Buffer<float> v(squares);
  Buffer<ParameterRange> decayed({{0, 5}, {5, 6, 16}, {4000, 4200}, {8999, 9001, 0.5}, {100, 8000, 4}});
  // Clipped, below its limit, unlimited; the last two do not move: a norm and a loss that are not finite.
  Buffer<AdamWSlot> updates({{2, 1e-2, 0.9, 0.999, 1e-8, 0.1, 1, 0, 4},
                             {0, 3e-3, 0.8, 0.95, 1e-6, 0.5, 3, 4, 1},
                             {5, 1e-3, 0.9, 0.999, 1e-8, 0, 0, 0, 0},
                             {3, 1, 0.9, 0.999, 1e-8, 0, 0, 0, 0},
                             {4, 1, 0.9, 0.999, 1e-8, 0, 0, 0, 0}});
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  Buffer<double> clip_norms({2, 2, 2, inf, 2}), losses({5, -3, 0, 1, nan});
  Buffer<std::int64_t> steps({76, 9, 0, 3, 3, 1000});
  AdamW args{p.host.data(),
             g.host.data(),
             m.host.data(),
             v.host.data(),
             stride,
             parameters,
             updates.host.data(),
             5,
             decayed.host.data(),
             clip_norms.host.data(),
             losses.host.data(),
             steps.host.data()};
  ASSERT_TRUE(ref::adamw(args, {}).ok());
  args = {p.device(),       g.device(), m.device(),       v.device(),          stride,          parameters,
          updates.device(), 5,          decayed.device(), clip_norms.device(), losses.device(), steps.device()};
  ASSERT_TRUE(cuda::adamw(args, {}).ok());
  const finetune::testing::Bound each = bound_of(Type::f32, 8);  // some eight roundings on the way to a parameter
  expect_equal(p, each, "params");
  expect_equal(m, each, "first");
  expect_equal(v, each, "second");
  const auto cleared = g.downloaded();
  EXPECT_EQ(cleared, g.host);
  for (const std::int64_t slot : {0, 2, 3, 4, 5}) EXPECT_EQ(cleared[static_cast<std::size_t>(slot * stride + 9000)], 0);
  EXPECT_EQ(steps.downloaded(), steps.host);
  EXPECT_EQ(steps.host, (std::vector<std::int64_t>{77, 9, 1, 3, 3, 1001}));
}

TEST_P(Kernels, RowSums) {
  if (GetParam() == Type::bf16) return;  // losses are fp32 only
  Buffer<float> values(normals(1000, 1));
  Buffer<RowRange> ranges({{0, 700, 3}, {700, 701, 0}, {705, 705, 1}, {710, 1000, 2}});
  Buffer<double> sums({1, 2, 3, 4});
  RowSums args{values.host.data(), ranges.host.data(), 4, sums.host.data()};
  ASSERT_TRUE(ref::row_sums(args, {}).ok());
  args = {values.device(), ranges.device(), 4, sums.device()};
  ASSERT_TRUE(cuda::row_sums(args, {}).ok());
  expect_equal(sums, {.absolute = 1e-12}, "sums");  // 700 doubles of size 1 in another order
  EXPECT_EQ(sums.host[1], 2);
}

TEST_P(Kernels, GradientNorms) {
  if (GetParam() == Type::bf16) return;  // gradients are fp32 only
  const std::int64_t stride = 600'011;
  Buffer<float> grads(normals(2 * stride, 1));
  Buffer<GradientPiece> pieces({{7, 300, 1900, 2000}, {3, 1, 2, 9}, {0, 1, 1, 1}, {5, 0, 4, 4}});
  Buffer<NormSlot> slots({{1, 0, 1}, {0, 1, 3}, {0, 0, 4}});
  Buffer<double> partial(std::vector<double>(static_cast<std::size_t>(3 * kNormParts))), norms(std::vector<double>(3));
  GradientNorms args{grads.host.data(),   stride,           slots.host.data(), 3, pieces.host.data(),
                     partial.host.data(), norms.host.data()};
  ASSERT_TRUE(ref::gradient_norms(args, {}).ok());
  args = {grads.device(), stride, slots.device(), 3, pieces.device(), partial.device(), norms.device()};
  ASSERT_TRUE(cuda::gradient_norms(args, {}).ok());
  expect_equal(norms, {.relative = 1e-13}, "norms");  // sums of 6e5 doubles in another order
}

}  // namespace
}  // namespace finetune::kernels::testing
