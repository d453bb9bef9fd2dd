// The CUDA kernels that go over rows of activations against their oracles in kernels/ref, at awkward sizes and strides,
// and what a row owes to its place: nothing. Compiled twice, as test_kernels.cpp.
#include "tests/kernels/cases.h"

namespace finetune::kernels::testing {
namespace {

class RowKernels : public Kernels {};
INSTANTIATE_TEST_SUITE_P(Types, RowKernels, ::testing::Values(Type::f32, Type::bf16));

struct Size {
  std::int64_t rows, width;
  std::int64_t gap;  // elements between rows: at multiples of 8 every row begins at 16 bytes
};
constexpr Size kSizes[] = {{1, 1, 3},    {3, 19, 5},   {5, 111, 3},  {5, 112, 8},  {2, 300, 3}, {2, 300, 4},
                           {33, 256, 0}, {300, 24, 0}, {2, 1100, 4}, {2, 2056, 8}, {1, 8300, 4}};

TEST_P(RowKernels, Rmsnorm) {
  const Type type = GetParam();
  for (const auto [rows, width, gap] : kSizes) {
    const std::int64_t row = width + gap;
    Activations x(type, rows, row, 1), w(type, 1, width, 2), y(type, rows, row, 3), dy(type, rows, row, 4),
        dx(type, rows, row, 5);
    Buffer<float> rstd(normals(rows, 6)), dw(normals(width, 7));
    for (const bool unit_offset : {true, false}) {
      RmsnormForward f{type, x.host(), row, w.host(), 1e-5f, y.host(), row, rstd.host.data(), rows, width, unit_offset};
      ASSERT_TRUE(ref::rmsnorm_forward(f, {}).ok());
      f.x = x.device(), f.w = w.device(), f.y = y.device(), f.rstd = rstd.device();
      ASSERT_TRUE(cuda::rmsnorm_forward(f, {}).ok());
      expect_equal(y, bound_of(type, 16), unit_offset ? "y of 1 + w" : "y");
      if (type == Type::bf16) expect_same_rounding(y, unit_offset ? "y of 1 + w" : "y");
      expect_equal(rstd, bound_of(Type::f32, 16), "rstd");
    }

    if (width <= 1100) {  // its columns are independent, and a block of threads each
      RmsnormWeightGradient g{type, dy.host(), row, x.host(), row, rstd.host.data(), dw.host.data(), rows, width};
      ASSERT_TRUE(ref::rmsnorm_weight_gradient(g, {}).ok());
      g.dy = dy.device(), g.x = x.device(), g.rstd = rstd.device(), g.dw = dw.device();
      ASSERT_TRUE(cuda::rmsnorm_weight_gradient(g, {}).ok());
      expect_equal(dw, bound_of(Type::f32, 16), "dw");
    }

    for (const bool accumulate : {false, true}) {
      RmsnormBackward b{type,
                        dy.host(),
                        row,
                        x.host(),
                        row,
                        w.host(),
                        rstd.host.data(),
                        dx.host(),
                        row,
                        accumulate,
                        rows,
                        width,
                        /*unit_offset=*/accumulate};
      ASSERT_TRUE(ref::rmsnorm_backward(b, {}).ok());
      b.dy = dy.device(), b.x = x.device(), b.w = w.device(), b.rstd = rstd.device(), b.dx = dx.device();
      ASSERT_TRUE(cuda::rmsnorm_backward(b, {}).ok());
      expect_equal(dx, bound_of(type, 32), accumulate ? "dx +=" : "dx");
    }
  }
}

TEST_P(RowKernels, Rotary) {
  const Type type = GetParam();
  // Whole heads, and the first part of them.
  for (const auto& [dim, head, gap] :
       {std::tuple{2, 2, 2}, {6, 10, 2}, {64, 64, 2}, {64, 64, 8}, {24, 32, 0}, {96, 128, 0}}) {
    const std::int64_t rows = 7, heads = 5, row = heads * head + gap;
    Activations x(type, rows, row, 1);
    Buffer<float> cos(normals(9 * dim / 2, 2)), sin(normals(9 * dim / 2, 3));
    Buffer<std::int32_t> positions({0, 8, 3, 3, 1, 7, 5});
    for (const bool inverse : {false, true}) {
      Rotary args{type,    x.host(), row,   head, cos.host.data(), sin.host.data(), positions.host.data(),
                  inverse, rows,     heads, dim};
      ASSERT_TRUE(ref::rotary(args, {}).ok());
      args.x = x.device(), args.cos = cos.device(), args.sin = sin.device(), args.positions = positions.device();
      ASSERT_TRUE(cuda::rotary(args, {}).ok());
      // bf16: products of two bf16 numbers are exact in fp32, so both round alike.
      expect_equal(x, type == Type::bf16 ? finetune::testing::Bound{} : bound_of(type, 4), "x");
    }
  }
}

TEST_P(RowKernels, GatedUnits) {
  const Type type = GetParam();
  for (const auto activation : {Activation::silu, Activation::gelu_tanh})
    for (const auto [rows, width, gap] : kSizes) {
      const std::int64_t row = 2 * width + gap, out = width + gap;
      Activations gate(type, rows, row, 1, 3), up(type, rows, row, 2), h(type, rows, out, 3), dh(type, rows, out, 4);
      GluForward f{type, activation, gate.host(), up.host(), row, row, h.host(), out, rows, width};
      ASSERT_TRUE(ref::glu_forward(f, {}).ok());
      f.gate = gate.device(), f.up = up.device(), f.h = h.device();
      ASSERT_TRUE(cuda::glu_forward(f, {}).ok());
      expect_equal(h, bound_of(type, 8), "h");
      GluBackward b{type, activation,  dh.host(), out, gate.host(), up.host(), row,
                    row,  gate.host(), up.host(), row, row,         rows,      width};
      ASSERT_TRUE(ref::glu_backward(b, {}).ok());
      b.dh = dh.device(), b.gate = gate.device(), b.up = up.device();
      b.dgate = gate.device(), b.dup = up.device();
      ASSERT_TRUE(cuda::glu_backward(b, {}).ok());
      expect_equal(gate, bound_of(type, 16), "dgate, in place");
      expect_equal(up, bound_of(type, 16), "dup, in place");
    }
}

TEST_P(RowKernels, CrossEntropy) {
  const Type type = GetParam();
  for (const auto& [vocabulary, gap] : {std::pair{1, 5}, {19, 5}, {255, 5}, {256, 8}, {1111, 1}, {4104, 0}}) {
    const std::int64_t rows = 4, row = vocabulary + gap;
    Activations logits(type, rows, row, 1, 4);
    Buffer<float> scale(normals(rows, 2)), nll(normals(rows, 3));
    Buffer<std::int64_t> targets({0, vocabulary - 1, vocabulary / 2, 0});
    Buffer<std::uint8_t> correct({9, 9, 9, 9});
    for (std::int64_t v = 0; v < vocabulary; ++v)
      ref::write(type, logits.host(), 3 * row + v, 1.5);  // ties: the first wins
    Buffer<unsigned char> bytes(std::vector<unsigned char>(
        static_cast<unsigned char*>(logits.host()),
        static_cast<unsigned char*>(logits.host()) + rows * row * (type == Type::f32 ? 4 : 2)));
    CrossEntropy args{type,
                      logits.host(),
                      row,
                      targets.host.data(),
                      scale.host.data(),
                      nll.host.data(),
                      correct.host.data(),
                      logits.host(),
                      row,
                      rows,
                      vocabulary};
    ASSERT_TRUE(ref::cross_entropy(args, {}).ok());
    args.logits = bytes.device(), args.targets = targets.device(), args.scale = scale.device();
    args.dlogits = bytes.device(), args.nll = nll.device(), args.correct = correct.device();
    ASSERT_TRUE(cuda::cross_entropy(args, {}).ok());
    const auto actual = bytes.downloaded();
    std::vector<double> got, want = logits.expected();
    for (std::size_t i = 0; i < want.size(); ++i)
      got.push_back(ref::read(type, actual.data(), static_cast<std::int64_t>(i)));
    EXPECT_TRUE(
        finetune::testing::all_near(std::span<const double>(got), std::span<const double>(want), bound_of(type, 64)))
        << "dlogits, in place";
    expect_equal(nll, bound_of(Type::f32, 64), "nll");
    EXPECT_EQ(correct.downloaded(), correct.host);
    EXPECT_EQ(correct.host[3], 1);
  }
}

// Rows of the same numbers at all distances from an address of 16 bytes: what their place in the pack makes of them is
// the same, bit for bit.
class SameRows {
 public:
  static constexpr std::int64_t kRows = 9;
  SameRows(Type type, std::int64_t width, std::uint64_t seed) : values(type, kRows, width + 1, seed) {
    auto& bytes = values.bytes();
    std::vector<unsigned char> all = bytes.host;
    const std::size_t row = all.size() / kRows;
    for (std::size_t r = 1; r < kRows; ++r)
      std::copy_n(all.begin(), row, all.begin() + static_cast<std::ptrdiff_t>(r * row));
    bytes.refill(all);
  }
  bool same() {
    const auto all = values.bytes().downloaded();
    const std::size_t row = all.size() / kRows;
    for (std::size_t r = 1; r < kRows; ++r)
      if (!std::equal(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(row),
                      all.begin() + static_cast<std::ptrdiff_t>(r * row)))
        return false;
    return true;
  }
  void* device() { return values.device(); }
  Activations values;
};

TEST_P(RowKernels, ARowHasItsBitsWhereverItStands) {
  const Type type = GetParam();
  const std::int64_t rows = SameRows::kRows;
  for (const std::int64_t width : {40, 1100}) {
    const std::int64_t row = width + 1;
    SameRows x(type, width, 1), y(type, width, 2), dy(type, width, 3), dx(type, width, 4), up(type, width, 5),
        h(type, width, 6);
    Activations w(type, 1, width, 7);
    Buffer<float> rstd(std::vector<float>(static_cast<std::size_t>(rows)));
    ASSERT_TRUE(cuda::rmsnorm_forward(
                    {type, x.device(), row, w.device(), 1e-5f, y.device(), row, rstd.device(), rows, width}, {})
                    .ok());
    ASSERT_TRUE(cuda::rmsnorm_backward({type, dy.device(), row, x.device(), row, w.device(), rstd.device(), dx.device(),
                                        row, true, rows, width},
                                       {})
                    .ok());
    ASSERT_TRUE(
        cuda::glu_forward({type, Activation::silu, x.device(), up.device(), row, row, h.device(), row, rows, width}, {})
            .ok());
    EXPECT_TRUE(y.same()) << "norm";
    EXPECT_TRUE(dx.same()) << "its gradient";
    EXPECT_TRUE(h.same()) << "gated unit";
    ASSERT_TRUE(cuda::glu_backward({type, Activation::silu, dy.device(), row, x.device(), up.device(), row, row,
                                    x.device(), up.device(), row, row, rows, width},
                                   {})
                    .ok());
    EXPECT_TRUE(x.same() && up.same()) << "its gradients";

    Buffer<std::int32_t> positions(std::vector<std::int32_t>(static_cast<std::size_t>(rows), 1));
    Buffer<float> cos(normals(width, 8)), sin(normals(width, 9)),
        scale(std::vector<float>(static_cast<std::size_t>(rows), 0.5f)), nll(normals(rows, 10));
    ASSERT_TRUE(cuda::rotary({type, y.device(), row, width / 2, cos.device(), sin.device(), positions.device(), false,
                              rows, 2, width / 2 / 4 * 4},
                             {})
                    .ok());
    EXPECT_TRUE(y.same()) << "rotary";
    Buffer<std::int64_t> targets(std::vector<std::int64_t>(static_cast<std::size_t>(rows), 7));
    Buffer<std::uint8_t> correct(std::vector<std::uint8_t>(static_cast<std::size_t>(rows)));
    ASSERT_TRUE(cuda::cross_entropy({type, h.device(), row, targets.device(), scale.device(), nll.device(),
                                     correct.device(), h.device(), row, rows, width},
                                    {})
                    .ok());
    EXPECT_TRUE(h.same()) << "cross-entropy";
    const auto losses = nll.downloaded(), factors = rstd.downloaded();
    for (std::size_t r = 1; r < losses.size(); ++r) EXPECT_TRUE(losses[r] == losses[0] && factors[r] == factors[0]);
  }
}

// One pass knows the largest logit only at its end: rows that rise and fall, logits far apart, and a NaN.
TEST_P(RowKernels, CrossEntropyOfLogitsInAnyOrder) {
  const Type type = GetParam();
  const std::int64_t rows = 4, vocabulary = 3000;
  Activations logits(type, rows, vocabulary, 1);
  for (std::int64_t v = 0; v < vocabulary; ++v) {
    ref::write(type, logits.host(), v, static_cast<double>(v) / 10);
    ref::write(type, logits.host(), vocabulary + v, -static_cast<double>(v) / 10);
    ref::write(type, logits.host(), 2 * vocabulary + v, v % 7 == 3 ? 1e4 : -1e4);
  }
  ref::write(type, logits.host(), 3 * vocabulary + 1234, std::nan(""));
  logits.bytes().refill(logits.bytes().host);
  Buffer<std::int64_t> targets({2999, 0, 3, 5});
  Buffer<float> nll(normals(rows, 2));
  Buffer<std::uint8_t> correct({9, 9, 9, 9});
  CrossEntropy args{
      type, logits.host(), vocabulary, targets.host.data(), nullptr, nll.host.data(), correct.host.data(), nullptr,
      0,    rows,          vocabulary};
  ASSERT_TRUE(ref::cross_entropy(args, {}).ok());
  args.logits = logits.device(), args.targets = targets.device(), args.nll = nll.device(),
  args.correct = correct.device();
  ASSERT_TRUE(cuda::cross_entropy(args, {}).ok());
  const auto actual = nll.downloaded();
  for (std::size_t r = 0; r < 3; ++r)
    EXPECT_TRUE(finetune::testing::near(actual[r], nll.host[r], bound_of(Type::f32, 64))) << r;
  EXPECT_TRUE(std::isnan(actual[3]));
  const auto hits = correct.downloaded();
  for (std::size_t r = 0; r < 3; ++r) EXPECT_EQ(hits[r], correct.host[r]) << r;
  EXPECT_EQ(hits[2], 1);
}

}  // namespace
}  // namespace finetune::kernels::testing
