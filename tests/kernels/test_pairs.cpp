// Each explicit pair of kernels/torch/ops.h alone: the composition's backward against autograd in float64 at awkward
// sizes, and the plain C++ oracle (kernels/ref) and the CPU kernels against the composition in float32.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <thread>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/glu.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/torch/backend.h"

namespace finetune::testing {
namespace {

using at::Tensor;
const ops::Backend& composite() {
  return ops::composite_backend();
}

Tensor random64(at::IntArrayRef shape) {
  return at::randn(shape, at::kDouble);
}
Tensor leaf(const Tensor& value) {
  return value.clone().set_requires_grad(true);
}

// d(sum(output * weight)) by autograd.
std::vector<Tensor> oracle(const Tensor& output, const Tensor& weight, const std::vector<Tensor>& inputs) {
  return torch::autograd::grad({(output * weight).sum()}, inputs);
}
// float64: some hundred roundings of 1e-16, and lse, rstd and norms that are kept in float64 too.
void expect_close(const Tensor& actual, const Tensor& expected, double bound = 1e-12) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const double worst = (actual - expected).abs().max().item<double>(), largest = expected.abs().max().item<double>();
  EXPECT_TRUE(worst <= bound * (1 + largest)) << worst << " of " << largest;  // false for a NaN
}

class Pairs : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(7); }
};

TEST_F(Pairs, Rmsnorm) {
  const Tensor x = leaf(random64({5, 19})), w = leaf(random64({19})), dy = random64({5, 19});
  const Tensor y = x * (x.square().mean(-1, true) + 1e-5).rsqrt() * w;
  const auto want = oracle(y, dy, {x, w});
  const c10::NoGradGuard off;
  Tensor out = at::empty_like(dy), rstd = at::empty({5}, at::kDouble), dx = at::ones_like(dy),
         dw = at::zeros({19}, at::kDouble);
  composite().rmsnorm_forward(x, w, 1e-5, out, rstd);
  composite().rmsnorm_backward(dy, x, w, rstd, dx, true, dw);
  expect_close(out, y);
  expect_close(dx, want[0] + 1);
  expect_close(dw, want[1]);
}

TEST_F(Pairs, Rotary) {
  const Tensor x = leaf(random64({4, 3, 6})), angles = random64({9, 3}), dy = random64({4, 3, 6});
  const Tensor positions = at::tensor({8, 0, 3, 3}, at::kInt),
               turn = angles.index_select(0, positions.to(at::kLong)).unsqueeze(1);
  const Tensor a = x.narrow(2, 0, 3), b = x.narrow(2, 3, 3);
  const Tensor y = at::cat({a * turn.cos() - b * turn.sin(), b * turn.cos() + a * turn.sin()}, 2);
  const auto want = oracle(y, dy, {x});
  const c10::NoGradGuard off;
  Tensor forward = x.detach().clone(), backward = dy.clone();
  composite().rotary(forward, angles.cos(), angles.sin(), positions, false);
  composite().rotary(backward, angles.cos(), angles.sin(), positions, true);
  expect_close(forward, y);
  expect_close(backward, want[0]);
}

class GatedUnits : public Pairs, public ::testing::WithParamInterface<ops::Activation> {};
INSTANTIATE_TEST_SUITE_P(Activations, GatedUnits, ::testing::Values(ops::Activation::silu, ops::Activation::gelu_tanh));

TEST_P(GatedUnits, Gradients) {
  const bool silu = GetParam() == ops::Activation::silu;
  const Tensor gate = leaf(random64({3, 11})), up = leaf(random64({3, 11})), dh = random64({3, 11});
  const Tensor h = (silu ? at::silu(gate) : at::gelu(gate, "tanh")) * up;
  const auto want = oracle(h, dh, {gate, up});
  const c10::NoGradGuard off;
  Tensor out = at::empty_like(dh), dgate = at::empty_like(dh), dup = at::empty_like(dh);
  composite().glu_forward(GetParam(), gate, up, out);
  composite().glu_backward(GetParam(), dh, gate, up, dgate, dup);
  expect_close(out, h);
  expect_close(dgate, want[0]);
  expect_close(dup, want[1]);
}

// Segments of 1, 5 and 7 tokens, four query heads on two key/value heads; full causal and sliding.
TEST_F(Pairs, Attention) {
  for (const std::int64_t window : {0, 1, 3}) {
    const Tensor q = leaf(random64({13, 4, 5})), k = leaf(random64({13, 2, 5})), v = leaf(random64({13, 2, 5})),
                 d = random64({13, 4, 5});
    const ops::Segments segments = ops::make_segments({0, 1, 6, 13}, 7, at::kCPU);
    std::vector<Tensor> parts;
    for (std::size_t s = 0; s < 3; ++s) {
      const std::int64_t begin = segments.bounds[s], n = segments.bounds[s + 1] - begin;
      const auto part = [&](const Tensor& x, std::int64_t repeat) {
        return x.narrow(0, begin, n).repeat_interleave(repeat, 1).transpose(0, 1);
      };
      const Tensor seen = at::ones({n, n}, at::kDouble).tril().triu(window > 0 ? 1 - window : -n);
      const Tensor scores =
          (at::matmul(part(q, 1), part(k, 2).transpose(1, 2)) * 0.3).masked_fill(seen.eq(0), -INFINITY);
      parts.push_back(at::matmul(scores.softmax(-1), part(v, 2)).transpose(0, 1));
    }
    const Tensor y = at::cat(parts, 0);
    const auto want = oracle(y, d, {q, k, v});
    const c10::NoGradGuard off;
    Tensor out = at::empty_like(d), lse = at::empty({4, 13}, at::kDouble), dq = at::empty_like(q),
           dk = at::empty_like(k), dv = at::empty_like(v);
    composite().attention_forward(q, k, v, segments, {0.3, window}, out, lse);
    composite().attention_backward(d, q, k, v, out, lse, segments, {0.3, window}, dq, dk, dv);
    expect_close(out, y);
    expect_close(dq, want[0]);
    expect_close(dk, want[1]);
    expect_close(dv, want[2]);
  }
}

TEST_F(Pairs, CrossEntropy) {
  const Tensor logits = leaf(random64({3, 17})), targets = at::tensor({0, 16, 5}, at::kLong), scale = random64({3});
  const Tensor nll = -logits.log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1);
  const auto want = oracle(nll, scale, {logits});
  const c10::NoGradGuard off;
  Tensor out = at::empty({3}, at::kDouble), correct = at::empty({3}, at::kByte), in_place = logits.detach().clone();
  composite().cross_entropy(in_place, targets, scale, out, correct, in_place);
  expect_close(out, nll);
  expect_close(in_place, want[0]);
}

TEST_F(Pairs, Embedding) {
  const Tensor table = leaf(random64({7, 5})), ids = at::tensor({6, 0, 6, 2}, at::kLong), dy = random64({4, 5});
  const Tensor y = table.index_select(0, ids);
  const auto want = oracle(y, dy, {table});
  const c10::NoGradGuard off;
  Tensor out = at::empty_like(dy), dtable = at::zeros({7, 5}, at::kDouble);
  ops::embedding_forward(ids, table, out);
  ops::embedding_backward(ids, dy, dtable);
  expect_close(out, y);
  expect_close(dtable, want[0]);
}

const std::vector<ops::AdapterGroup> kGroups = {
    {.begin = 0, .end = 5, .slot = 2, .rank = 8, .projections = 2, .scale = 2},
    {.begin = 6, .end = 11, .slot = 0, .rank = 16, .projections = 6, .scale = 0.5f}};

TEST_F(Pairs, LinearWithAdapter) {
  const Tensor x = leaf(random64({11, 13})), a = leaf(random64({3, 16, 13})), b = leaf(random64({3, 19, 16})),
               base = random64({11, 19}), dy = random64({11, 19});
  std::vector<Tensor> rows = {base.narrow(0, 0, 5), base.narrow(0, 5, 1), base.narrow(0, 6, 5)};
  for (const auto& [g, i] : {std::pair{kGroups[0], 0}, std::pair{kGroups[1], 2}}) {
    const Tensor A = a.select(0, g.slot).narrow(0, 0, g.rank), B = b.select(0, g.slot).narrow(1, 0, g.rank);
    rows[static_cast<std::size_t>(i)] =
        rows[static_cast<std::size_t>(i)] + at::matmul(at::matmul(x.narrow(0, g.begin, 5), A.t()), B.t()) * g.scale;
  }
  const Tensor want_y = at::cat(rows, 0);
  const auto want = oracle(want_y, dy, {x, a, b});
  const c10::NoGradGuard off;
  Tensor y = base.clone(), s = at::zeros({11, 16}, at::kDouble), dx = at::zeros_like(x), da = at::zeros_like(a),
         db = at::zeros_like(b);
  const ops::AdapterGroups groups = ops::make_adapter_groups(kGroups);
  const ops::AdapterOutput output{1, 3, a, b, s, y};
  const ops::AdapterOutputGradient gradient{1, 3, a, b, s, dy, da, db};
  composite().adapter_forward(x, groups, {&output, 1});
  composite().adapter_backward(x, groups, {&gradient, 1}, dx);
  expect_close(y, want_y);
  expect_close(dx, want[0]);
  expect_close(da, want[1]);
  expect_close(db, want[2]);
}

// float32: sums of up to 20 products of numbers near 1, each rounded to 6e-8.
constexpr double kFloatBound = 3e-6;
float* f(const Tensor& t) {
  return t.data_ptr<float>();
}

TEST_F(Pairs, OracleOfRmsnormEqualsComposition) {
  const Tensor x = at::randn({5, 19}), w = at::randn({19}), dy = at::randn({5, 19});
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    Tensor y = at::empty_like(x), rstd = at::empty({5}), dx = at::ones_like(x), dw = at::ones({19});
    Tensor y2 = at::empty_like(x), rstd2 = at::empty({5}), dx2 = at::ones_like(x), dw2 = at::ones({19});
    backend->rmsnorm_forward(x, w, 1e-5, y, rstd);
    backend->rmsnorm_backward(dy, x, w, rstd, dx, true, dw);
    kernels::ref::rmsnorm_forward({kernels::Type::f32, f(x), 19, f(w), 1e-5f, f(y2), 19, f(rstd2), 5, 19}, {});
    kernels::ref::rmsnorm_weight_gradient({kernels::Type::f32, f(dy), 19, f(x), 19, f(rstd2), f(dw2), 5, 19}, {});
    kernels::ref::rmsnorm_backward({kernels::Type::f32, f(dy), 19, f(x), 19, f(w), f(rstd2), f(dx2), 19, true, 5, 19},
                                   {});
    expect_close(y2, y, kFloatBound);
    expect_close(dx2, dx, kFloatBound);
    expect_close(dw2, dw, kFloatBound);
  }
}

TEST_F(Pairs, OracleOfRotaryEqualsComposition) {
  const Tensor angles = at::randn({9, 3}), cos = angles.cos(), sin = angles.sin(),
               positions = at::tensor({8, 0, 3, 3}, at::kInt);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const bool wide = dtype == at::kFloat;
    Tensor x = at::randn({4, 3, 6}).to(dtype), x2 = x.clone();
    composite().rotary(x, cos, sin, positions, true);
    kernels::ref::rotary({wide ? kernels::Type::f32 : kernels::Type::bf16, x2.data_ptr(), 18, 6, f(cos), f(sin),
                          positions.data_ptr<std::int32_t>(), true, 4, 3, 6},
                         {});
    expect_close(x2.to(at::kDouble), x.to(at::kDouble), wide ? kFloatBound : 0);  // bf16: the same roundings
  }
}

TEST_P(GatedUnits, OracleEqualsComposition) {
  const Tensor gate = at::randn({3, 11}), up = at::randn({3, 11}), dh = at::randn({3, 11});
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    Tensor h = at::empty_like(dh), dg = at::empty_like(dh), du = at::empty_like(dh), h2 = at::empty_like(dh),
           dg2 = at::empty_like(dh), du2 = at::empty_like(dh);
    backend->glu_forward(GetParam(), gate, up, h);
    backend->glu_backward(GetParam(), dh, gate, up, dg, du);
    kernels::ref::glu_forward({kernels::Type::f32, GetParam(), f(gate), f(up), 11, 11, f(h2), 11, 3, 11}, {});
    kernels::ref::glu_backward(
        {kernels::Type::f32, GetParam(), f(dh), 11, f(gate), f(up), 11, 11, f(dg2), f(du2), 11, 11, 3, 11}, {});
    expect_close(h2, h, kFloatBound);
    expect_close(dg2, dg, kFloatBound);
    expect_close(du2, du, kFloatBound);
  }
}

TEST_F(Pairs, OracleOfCrossEntropyEqualsComposition) {
  const Tensor logits = at::randn({3, 17}), targets = at::tensor({0, 16, 5}, at::kLong), scale = at::randn({3});
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    Tensor nll = at::empty({3}), correct = at::empty({3}, at::kByte), d = at::empty_like(logits), nll2 = at::empty({3}),
           correct2 = at::empty({3}, at::kByte), d2 = at::empty_like(logits);
    backend->cross_entropy(logits, targets, scale, nll, correct, d);
    kernels::ref::cross_entropy({kernels::Type::f32, f(logits), 17, targets.data_ptr<std::int64_t>(), f(scale), f(nll2),
                                 correct2.data_ptr<std::uint8_t>(), f(d2), 17, 3, 17},
                                {});
    expect_close(nll2, nll, kFloatBound);
    expect_close(d2, d, kFloatBound);
    EXPECT_TRUE(at::equal(correct2, correct));
  }
}

// Also with scales of the projection's own: slot 1 is not used.
TEST_F(Pairs, OracleOfAdaptersEqualsComposition) {
  const Tensor x = at::randn({11, 13}), a = at::randn({3, 16, 13}), b = at::randn({3, 19, 16}),
               base = at::randn({11, 19}), dy = at::randn({11, 19});
  std::vector<ops::AdapterGroup> groups = kGroups;
  groups[1].dropout = 0.3f, groups[1].seed = 1234567890123, groups[1].step = 7, groups[1].token_base = 40;
  const ops::AdapterGroups on_host = ops::make_adapter_groups(groups);
  const Tensor own = at::tensor({1.25f, std::nanf(""), -3.0f});
  for (const Tensor& scales : {Tensor(), own}) {
    for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
      Tensor y = base.clone(), s = at::zeros({11, 16}), dx = at::zeros_like(x), da = at::ones_like(a),
             db = at::ones_like(b);
      Tensor y2 = base.clone(), s2 = at::zeros({11, 16}), ds2 = at::zeros({11, 16}), dx2 = at::zeros_like(x),
             da2 = at::ones_like(a), db2 = at::ones_like(b);
      const ops::AdapterOutput output{1, 3, a, b, s, y, scales};
      const ops::AdapterOutputGradient gradient{1, 3, a, b, s, dy, da, db, scales};
      backend->adapter_forward(x, on_host, {&output, 1});
      backend->adapter_backward(x, on_host, {&gradient, 1}, dx);
      const kernels::AdapterWeights weights{
          f(a), f(b), 16 * 13, 13, 19 * 16, 16, scales.defined() ? f(scales) : nullptr};
      kernels::ref::adapter_forward({kernels::Type::f32,
                                     f(x),
                                     13,
                                     13,
                                     on_host.list.data(),
                                     2,
                                     on_host.tiles,
                                     16,
                                     {{weights, f(s2), 16, f(y2), 19, 19, 3, 1}},
                                     1},
                                    {});
      kernels::ref::adapter_backward(
          {kernels::Type::f32,
           f(x),
           13,
           13,
           f(dx2),
           13,
           on_host.list.data(),
           2,
           on_host.tiles,
           16,
           {{weights, f(s2), 16, f(ds2), 16, f(dy), 19, 19, f(da2), f(db2), 16 * 13, 13, 19 * 16, 16, 3, 1}},
           1},
          {});
      for (const auto& [actual, expected] :
           {std::pair{y2, y}, std::pair{s2, s}, std::pair{dx2, dx}, std::pair{da2, da}, std::pair{db2, db}})
        expect_close(actual, expected, kFloatBound);
    }
  }
}

// What Linear relies on: the grouped call of projections that share an input is the calls one by one, bit for bit.
TEST_F(Pairs, AGroupedCallEqualsItsProjectionsOneByOne) {
  const Tensor x = at::randn({11, 13});
  std::vector<ops::AdapterGroup> list = kGroups;
  list[1].dropout = 0.3f, list[1].seed = 9, list[1].step = 2;
  const ops::AdapterGroups groups = ops::make_adapter_groups(list);
  EXPECT_EQ(groups.projections, 6u);
  EXPECT_EQ(groups.largest_rank, 16);
  EXPECT_EQ(groups.tiles, 2);
  const std::int64_t widths[] = {19, 8, 33};
  const auto run = [&](const ops::Backend& backend, bool together) {
    at::manual_seed(11);
    std::vector<ops::AdapterOutput> outputs;
    std::vector<ops::AdapterOutputGradient> gradients;
    for (std::int64_t i = 0; i < 3; ++i) {  // bits 0 to 2: nobody's, both trials', one trial's
      const Tensor a = at::randn({3, 16, 13}), b = at::randn({3, widths[i], 16}), y = at::randn({11, widths[i]}),
                   s = at::zeros({11, 16});
      outputs.push_back({i, 7 + i, a, b, s, y});
      gradients.push_back({i, 7 + i, a, b, s, at::randn({11, widths[i]}), at::zeros_like(a), at::zeros_like(b)});
    }
    Tensor dx = at::randn({11, 13});
    const std::size_t each = together ? 3 : 1;
    for (std::size_t i = 0; i < 3; i += each) backend.adapter_forward(x, groups, {&outputs[i], each});
    for (std::size_t i = 0; i < 3; i += each) backend.adapter_backward(x, groups, {&gradients[i], each}, dx);
    std::vector<Tensor> results{dx};
    for (std::size_t i = 0; i < 3; ++i) {
      for (const Tensor& result : {outputs[i].s_TR, outputs[i].y_TO, gradients[i].da_SRD, gradients[i].db_SOR})
        results.push_back(result);
    }
    return results;
  };
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    const auto together = run(*backend, true), apart = run(*backend, false);
    for (std::size_t i = 0; i < together.size(); ++i) EXPECT_TRUE(at::equal(together[i], apart[i])) << i;
    EXPECT_EQ(together[3].count_nonzero().item<std::int64_t>(), 0) << "a projection that nobody adapts";
    EXPECT_GT(together[7].count_nonzero().item<std::int64_t>(), 0);
    EXPECT_EQ(together[11].narrow(0, 2, 1).count_nonzero().item<std::int64_t>(), 0) << "slot 2 leaves bit 2 alone";
  }
}

TEST_F(Pairs, ASegmentWithoutTokensChangesNothing) {
  const auto gradients = [](const std::vector<std::int32_t>& bounds) {
    at::manual_seed(3);
    const Tensor q = at::randn({7, 4, 8}), k = at::randn({7, 2, 8}), v = at::randn({7, 2, 8}), d = at::randn({7, 4, 8});
    Tensor out = at::zeros({7, 4, 8}), lse = at::zeros({4, 7}), dq = at::zeros_like(q), dk = at::zeros_like(k),
           dv = at::zeros_like(v);
    const ops::Segments segments = ops::make_segments(bounds, 4, at::kCPU);
    ops::composite_backend().attention_forward(q, k, v, segments, {0.3, 0}, out, lse);
    ops::composite_backend().attention_backward(d, q, k, v, out, lse, segments, {0.3, 0}, dq, dk, dv);
    return at::cat({out.flatten(), dq.flatten(), dk.flatten(), dv.flatten()});
  };
  EXPECT_TRUE(at::equal(gradients({0, 3, 3, 7, 7}), gradients({0, 3, 7})));
}

// Lengths 3 4 3 3 4: a batch that lies together, and batches that do not.
TEST_F(Pairs, SegmentsOfOneLengthAreOneBatch) {
  const std::vector<std::int32_t> bounds{0, 3, 7, 10, 13, 17};
  const Tensor q = at::randn({17, 4, 8}), k = at::randn({17, 2, 8}), v = at::randn({17, 2, 8}),
               d = at::randn({17, 4, 8});
  const auto run = [&](std::int64_t begin, std::int64_t count, const std::vector<std::int32_t>& within) {
    const auto part = [&](const Tensor& x) { return x.narrow(0, begin, count); };
    const ops::Segments segments = ops::make_segments(within, 4, at::kCPU);
    Tensor out = at::zeros({count, 4, 8}), lse = at::zeros({4, count}), dq = at::zeros_like(out),
           dk = at::zeros({count, 2, 8}), dv = at::zeros_like(dk);
    ops::composite_backend().attention_forward(part(q), part(k), part(v), segments, {0.3, 2}, out, lse);
    ops::composite_backend().attention_backward(part(d), part(q), part(k), part(v), out, lse, segments, {0.3, 2}, dq,
                                                dk, dv);
    return std::vector<Tensor>{out, lse.t(), dq, dk, dv};
  };
  const std::vector<Tensor> together = run(0, 17, bounds);
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    const std::int32_t begin = bounds[i], count = bounds[i + 1] - begin;
    const std::vector<Tensor> alone = run(begin, count, {0, count});
    for (std::size_t k2 = 0; k2 < alone.size(); ++k2)
      expect_close(together[k2].narrow(0, begin, count), alone[k2], kFloatBound);
  }
}

// A slot of more elements than the composition works on at once; the seams are 2^24 elements apart.
TEST_F(Pairs, TheOptimizersCompositionWorksInSlices) {
  constexpr std::int64_t kMany = (std::int64_t{1} << 24) + 1001;
  const ops::NormPlan plan = ops::make_norm_plan({{.slot = 0, .pieces = {{0, 1, kMany, kMany}}}}, at::kCPU);
  const std::vector<ops::SlotUpdate> updates = {{.slot = 0,
                                                 .learning_rate = 1e-2,
                                                 .weight_decay = 0.3,
                                                 .max_norm = 2,
                                                 .decayed = {{kMany - 2000, kMany - 500, 8}}}};
  const Tensor g0 = at::randn({1, kMany}), p0 = at::randn({1, kMany});
  const auto step = [&](const ops::Backend& backend) {
    const Tensor p = p0.clone(), g = g0.clone(), m = at::zeros_like(p), v = at::zeros_like(p);
    Tensor norm = at::zeros({1}, at::kDouble);
    backend.gradient_norms(g, plan, norm);
    ops::UpdateProgress done;
    backend.adamw({p, g, m, v, at::zeros({1}, at::kLong)}, updates, norm, at::zeros({1}, at::kDouble), done);
    return std::pair{p, norm};
  };
  const auto [composed, composed_norm] = step(ops::composite_backend());
  const auto [kernel, kernel_norm] = step(ops::cpu_backend());
  // 2^24 doubles in another order: rounding grows with the square root of their number, 4096 x 1e-16.
  EXPECT_NEAR(composed_norm.item<double>(), kernel_norm.item<double>(), 1e-12 * kernel_norm.item<double>());
  expect_close(composed, kernel, kFloatBound);
}

TEST_F(Pairs, OracleOfTheOptimizerEqualsComposition) {
  const Tensor p0 = at::randn({3, 29}), g0 = at::randn({3, 29}), m0 = at::randn({3, 29}), v0 = at::rand({3, 29});
  const std::vector<ops::SlotUpdate> updates = {
      {.slot = 2, .learning_rate = 1e-2, .weight_decay = 0.3, .max_norm = 2, .decayed = {{2, 9, 3}, {20, 29}}},
      {.slot = 0, .learning_rate = 1e-1}};
  const kernels::ParameterRange ranges[] = {{2, 9, 3}, {20, 29}};
  const kernels::AdamWSlot slots[] = {{2, 1e-2, 0.9, 0.999, 1e-8, 0.3, 2, 0, 2},
                                      {0, 1e-1, 0.9, 0.999, 1e-8, 0, 0, 2, 0}};
  // The second update's loss is not a number: its slot stays as it is.
  const double norm_values[] = {4, 1}, losses[] = {1, std::numeric_limits<double>::quiet_NaN()};
  const Tensor norms_N = at::tensor({4.0, 1.0}, at::kDouble), losses_N = at::tensor({1.0, losses[1]}, at::kDouble);
  const ops::NormPlan plan = ops::make_norm_plan({{.slot = 1, .pieces = {{3, 4, 5, 6}, {0, 1, 2, 2}}}}, at::kCPU);
  const kernels::GradientPiece piece_list[] = {{3, 4, 5, 6}, {0, 1, 2, 2}};
  const kernels::NormSlot norm_slot{1, 0, 2};
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    const Tensor p = p0.clone(), g = g0.clone(), m = m0.clone(), v = v0.clone(), p2 = p0.clone(), g2 = g0.clone(),
                 m2 = m0.clone(), v2 = v0.clone();
    double norm = 0;
    kernels::ref::gradient_norms({f(g2), 29, &norm_slot, 1, piece_list, nullptr, &norm}, {});
    Tensor own = at::zeros({1}, at::kDouble);
    backend->gradient_norms(g, plan, own);
    EXPECT_NEAR(norm, own.item<double>(), 1e-14 * 22 * norm);  // 22 doubles in another order
    const Tensor steps = at::tensor({5, 7, 2}, at::kLong);
    std::int64_t steps2[] = {5, 7, 2};
    ops::UpdateProgress done;
    backend->adamw({p, g, m, v, steps}, updates, norms_N, losses_N, done);
    EXPECT_EQ(done.updates, updates.size());
    kernels::ref::adamw({f(p2), f(g2), f(m2), f(v2), 29, 29, slots, 2, ranges, norm_values, losses, steps2}, {});
    for (std::int64_t s = 0; s < 3; ++s) EXPECT_EQ(steps.data_ptr<std::int64_t>()[s], steps2[s]) << s;
    EXPECT_EQ(steps2[2], 3);
    EXPECT_EQ(steps2[0], 5);
    for (const auto& [actual, expected] : {std::pair{p2, p}, std::pair{m2, m}, std::pair{v2, v}, std::pair{g2, g}})
      expect_close(actual, expected, kFloatBound);
  }
}

TEST_F(Pairs, OracleOfRowSumsEqualsComposition) {
  const Tensor values = at::randn({9});
  const std::vector<ops::RowRange> ranges = {{0, 4, 2}, {4, 4, 1}, {5, 9, 0}};
  for (const ops::Backend* backend : {&ops::composite_backend(), &ops::cpu_backend()}) {
    Tensor sums = at::ones({3}, at::kDouble), sums2 = sums.clone();
    backend->row_sums(values, ranges, sums);
    kernels::ref::row_sums({f(values), ranges.data(), 3, sums2.data_ptr<double>()}, {});
    expect_close(sums2, sums, 1e-15);  // four doubles in another order
    EXPECT_EQ(sums2.data_ptr<double>()[1], 1);
  }
}

TEST_F(Pairs, TheTableGivesCpuKernelsToFloat32OnTheCpuOnly) {
  EXPECT_EQ(&ops::backend_for(ops::Operation::adapter, at::zeros({1})), &ops::cpu_backend());
  EXPECT_EQ(&ops::backend_for(ops::Operation::adapter, at::zeros({1}, at::kBFloat16)), &ops::composite_backend());
  const ops::UseKernels written(ops::KernelTable::written());
  EXPECT_EQ(&ops::backend_for(ops::Operation::rmsnorm, at::zeros({1}, at::kDouble)), &ops::composite_backend());
}

TEST_F(Pairs, AChoiceOfKernelsHoldsForItsThreadWhileItLives) {
  const auto chosen = [] { return &ops::backend_for(ops::Operation::rmsnorm, at::zeros({1})); };
  EXPECT_EQ(chosen(), &ops::cpu_backend());
  {
    const ops::UseKernels composition(ops::KernelTable::composition());
    EXPECT_EQ(chosen(), &ops::composite_backend());
    {
      const ops::UseKernels inner(ops::KernelTable::written());
      EXPECT_EQ(chosen(), &ops::cpu_backend());
    }
    EXPECT_EQ(chosen(), &ops::composite_backend());
    const ops::Backend* elsewhere = nullptr;
    std::thread([&] { elsewhere = chosen(); }).join();
    EXPECT_EQ(elsewhere, &ops::cpu_backend());
  }
  EXPECT_EQ(chosen(), &ops::cpu_backend());
}

const ops::DeviceTraits kA100{.capability = 80, .kernels = true}, kV100{.capability = 70, .kernels = false};

// Beside an A100 an old card gets the composition; it takes nothing from the other.
TEST_F(Pairs, TheTableAsksTheDeviceItself) {
  using enum ops::Operation;
  const auto chosen = [](ops::Operation operation, at::ScalarType dtype, const ops::KernelTable& table,
                         const ops::DeviceTraits& traits) {
    return &ops::choose_backend(operation, at::kCUDA, dtype, table, traits);
  };
  const auto composition = ops::KernelTable::composition(), written = ops::KernelTable::written();
  for (const auto& table : {composition, written}) {
    EXPECT_EQ(chosen(attention, at::kBFloat16, table, kA100), &ops::flash_backend());
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      EXPECT_EQ(chosen(attention, at::kFloat, table, kA100), &ops::composite_backend());
      for (const auto operation : {rmsnorm, rotary_embedding, attention, glu, entropy, adapter, dropped_adapter})
        EXPECT_EQ(chosen(operation, dtype, table, kV100), &ops::composite_backend());
    }
  }
  ops::KernelTable some;
  some.take(glu);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    EXPECT_EQ(chosen(glu, dtype, composition, kA100), &ops::composite_backend());
    EXPECT_EQ(chosen(glu, dtype, written, kA100), &ops::cuda_backend());
    EXPECT_EQ(chosen(glu, dtype, some, kA100), &ops::cuda_backend());
    EXPECT_EQ(chosen(adapter, dtype, some, kA100), &ops::composite_backend());
  }
}

// Whatever is composed in a pass must not read on the host what differs between passes; the optimizer is not in one.
TEST_F(Pairs, ACaptureNeedsEveryOperationOfThePass) {
  using enum ops::Operation;
  const auto can = [](const ops::KernelTable& table, const ops::DeviceTraits& traits = kA100, std::int64_t dim = 64,
                      at::ScalarType dtype = at::kBFloat16) {
    return ops::can_capture(at::kCUDA, dtype, dim, table, traits);
  };
  const auto written = ops::KernelTable::written();
  EXPECT_TRUE(can(written));
  EXPECT_FALSE(can(written, kV100));
  EXPECT_FALSE(can(written, kA100, 60)) << "flash attention takes steps of 8";
  EXPECT_FALSE(can(written, kA100, 64, at::kFloat)) << "attention is composed";
  for (const ops::Operation left_out : ops::kOperations) {
    ops::KernelTable table;
    for (const ops::Operation operation : ops::kOperations) {
      if (operation != left_out) table.take(operation);
    }
    const bool reads_on_host = left_out == entropy || left_out == adapter || left_out == dropped_adapter;
    EXPECT_EQ(can(table), !reads_on_host) << ops::name_of(left_out);
    EXPECT_TRUE(can(ops::made_capturable(table))) << ops::name_of(left_out);
  }
  const ops::KernelTable least = ops::made_capturable({});
  EXPECT_TRUE(can(least) && least.graphs());
  EXPECT_FALSE(least.takes(glu) || least.takes(rmsnorm)) << "more than a capture needs";
  EXPECT_EQ(least & written, least);
}

TEST_F(Pairs, ATableChoosesByOperationOnTheCpuToo) {
  ops::KernelTable some;
  some.take(ops::Operation::glu);
  const ops::UseKernels use(some);
  EXPECT_EQ(&ops::backend_for(ops::Operation::glu, at::zeros({1})), &ops::cpu_backend());
  EXPECT_EQ(&ops::backend_for(ops::Operation::rmsnorm, at::zeros({1})), &ops::composite_backend());
}

}  // namespace
}  // namespace finetune::testing
