// The packed decoder against autograd in fp64: losses, adapter gradients, and gradients of every weight.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/examples.h"
#include "engine/pack_builder.h"
#include "models/decoder.h"
#include "support/compare.h"
#include "support/reference_decoder.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

// fp64 both ways: only the order of sums differs. 1e-10 is some thousand roundings of values near 1.
constexpr Bound kExact{.absolute = 1e-12, .relative = 1e-10, .of_largest = true};

::testing::AssertionResult same(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor a = actual.to(at::kDouble).contiguous(), e = expected.to(at::kDouble).contiguous();
  return all_near(std::span<const double>(a.data_ptr<double>(), static_cast<std::size_t>(a.numel())),
                  std::span<const double>(e.data_ptr<double>(), static_cast<std::size_t>(e.numel())), kExact);
}

std::vector<std::int64_t> wide_ids(const Example& example) {
  return {example.ids.begin(), example.ids.end()};
}

// The pack keeps 1 / loss tokens in fp32; the reference uses the same number.
double scale_of(const Batch& batch) {
  return static_cast<double>(static_cast<float>(1.0 / static_cast<double>(batch.loss_tokens)));
}

struct Case {
  std::string name;
  DecoderOptions options;
};

std::vector<Case> cases() {
  std::vector<Case> list{{"llama", tiny_options()}};
  list.push_back({"mistral_window", tiny_options()});
  list.back().options.window = {3, 3, 3};
  list.push_back({"qwen2_bias_tied", tiny_options()});
  list.back().options.qkv_bias = true;
  list.back().options.tied_head = true;
  list.push_back({"qwen3_qk_norm", tiny_options()});
  list.back().options.qk_norm = QkNorm::head;
  list.push_back({"all_biases_one_window_layer", tiny_options()});
  list.back().options.qkv_bias = list.back().options.o_bias = list.back().options.mlp_bias = true;
  list.back().options.window = {0, 2, 0};
  list.push_back({"norms_before_and_after", tiny_options()});
  list.back().options.post_norm = true;
  list.push_back({"norms_after_alone", tiny_options()});
  list.back().options.pre_norm = false;
  list.back().options.post_norm = true;
  list.push_back({"scales", tiny_options()});
  list.back().options.embedding_scale = 4.5;
  list.back().options.residual_scale = 0.22;
  list.back().options.logit_scale = 0.125;
  list.back().options.attention_scale = 0.3;
  list.push_back({"scaled_norms_after_tied", tiny_options()});
  list.back().options.post_norm = list.back().options.tied_head = true;
  list.back().options.embedding_scale = 4.5;
  list.back().options.residual_scale = 0.22;
  list.push_back({"norms_of_one_plus_w", tiny_options()});
  list.back().options.unit_offset_norm = list.back().options.post_norm = true;
  list.back().options.qk_norm = QkNorm::head;
  list.push_back({"gelu_tanh", tiny_options()});
  list.back().options.activation = kernels::Activation::gelu_tanh;
  list.push_back({"softcaps", tiny_options()});
  list.back().options.attention_softcap = 0.8;
  list.back().options.logit_softcap = 1.5;
  list.back().options.logit_scale = 0.7;
  list.back().options.window = {0, 2, 0};
  list.push_back({"rope_by_layer", tiny_options()});
  list.back().options.rope = {Rope::local, Rope::none, Rope::global};
  list.back().options.local_rotary.inverse_frequencies = {1, 0.3F, 0.05F};
  list.back().options.qk_norm = QkNorm::head;
  list.push_back({"norms_of_all_heads_at_once", tiny_options()});
  list.back().options.qk_norm = QkNorm::whole;
  list.push_back({"part_of_a_head_turned", tiny_options()});
  list.back().options.rotary.inverse_frequencies.pop_back();
  list.push_back({"fused", tiny_options()});
  list.back().options.fused = list.back().options.qkv_bias = list.back().options.mlp_bias = true;
  return list;
}

class DecoderTest : public ::testing::TestWithParam<Case> {};

TEST_P(DecoderTest, AdapterGradientsOfAPackEqualAutograd) {
  const DecoderOptions& o = GetParam().options;
  const DecoderBase base = tiny_base(o, at::kDouble);
  const ProjectionSet all = projections_of(o);
  // Three trials of unlike rank and targets, in unlike slots.
  struct TrialCase {
    SlotOptions slot_options;
    std::int64_t slot;
    double scale;
    std::vector<std::int64_t> lengths;
  };
  const std::vector<TrialCase> trials{{{.rank = 3, .targets = all}, 2, 2.0, {5, 1, 9}},
                                      {{.rank = 17, .targets = {Projection::o, Projection::down}}, 0, 0.5, {12}},
                                      {{.rank = 16,
                                        .targets = o.fused ? ProjectionSet{Projection::qkv, Projection::gate_up}
                                                           : ProjectionSet{Projection::k, Projection::gate}},
                                       3,
                                       1.25,
                                       {2, 7}}};
  AdapterBank bank(o, {.slots = 4, .rank = 20, .targets = all, .dtype = at::kDouble}, at::kCPU);
  std::vector<std::vector<Example>> data;
  std::vector<std::vector<std::int64_t>> lengths;
  std::vector<Batch> batches;
  std::vector<PackTrial> packed;
  for (std::size_t t = 0; t < trials.size(); ++t) {
    bank.initialize(trials[t].slot, trials[t].slot_options, 100 + t);
    for (std::int64_t layer = 0; layer < o.layers; ++layer) {  // b is not zero once training has begun
      for (const Projection p : trials[t].slot_options.targets.members()) {
        at::Tensor b = bank.b_SOR(layer, p).select(0, trials[t].slot);
        b.narrow(1, 0, trials[t].slot_options.rank)
            .copy_(at::sin(at::arange(b.size(0) * trials[t].slot_options.rank, at::kDouble)).view({b.size(0), -1}) *
                   0.1);
      }
    }
    data.push_back(tiny_examples(trials[t].lengths, o.vocab_size, 50 + t));
    lengths.push_back(trials[t].lengths);
    batches.emplace_back(data.back());  // its examples stay where they are when `data` grows
    packed.push_back({.slot = trials[t].slot,
                      .rank = computed_rank(trials[t].slot_options.rank),
                      .scale = static_cast<float>(trials[t].scale),
                      .targets = trials[t].slot_options.targets});
  }
  const auto passes = plan_passes(lengths, 100);
  ASSERT_EQ(passes.size(), 1u);
  BuiltPack built = build_pack(passes[0], packed, batches, at::kCPU);
  built.pack.scale_N = built.pack.scale_N.to(at::kDouble);
  DecoderWorkspace workspace;
  const PackLosses losses = train_pack(base, built.pack, {.bank = &bank}, workspace);
  const PackLosses evaluated = evaluate_pack(base, built.pack, &bank, workspace);
  EXPECT_TRUE(at::equal(losses.nll_N, evaluated.nll_N));

  for (std::size_t t = 0; t < trials.size(); ++t) {
    const auto& slot = trials[t];
    const AdapterTensors extracted = bank.extract(slot.slot, slot.slot_options);
    ReferenceAdapter adapter;
    adapter.scale = slot.scale;
    for (std::int64_t layer = 0; layer < o.layers; ++layer) {
      for (const Projection p : kAllProjections) {
        const auto& pair = extracted.at(layer, p);
        adapter.a.push_back(pair.a_RD.defined() ? pair.a_RD.detach().requires_grad_() : at::Tensor());
        adapter.b.push_back(pair.b_OR.defined() ? pair.b_OR.detach().requires_grad_() : at::Tensor());
      }
    }
    at::Tensor nll = at::zeros({}, at::kDouble);
    for (const auto& example : data[t]) nll = nll + reference_nll(base, wide_ids(example), example.loss, &adapter);
    const auto [first, last] = built.rows[t];
    EXPECT_TRUE(same(losses.nll_N.narrow(0, first, last - first).sum().view({1}), nll.view({1})));
    (nll * scale_of(batches[t])).backward();
    for (std::int64_t layer = 0; layer < o.layers; ++layer) {
      for (const Projection projection : slot.slot_options.targets.members()) {
        const auto index = static_cast<std::size_t>(layer) * kProjections + index_of(projection);
        const std::int64_t rank = slot.slot_options.rank;
        SCOPED_TRACE(projection_path(o, layer, projection) + " of trial " + std::to_string(t));
        EXPECT_TRUE(
            same(bank.grad_a_SRD(layer, projection).select(0, slot.slot).narrow(0, 0, rank), adapter.a[index].grad()));
        EXPECT_TRUE(
            same(bank.grad_b_SOR(layer, projection).select(0, slot.slot).narrow(1, 0, rank), adapter.b[index].grad()));
      }
    }
  }
  EXPECT_EQ(bank.grads_SP.select(0, 1).abs().max().item<double>(), 0) << "a slot nobody trains got a gradient";
}

TEST_P(DecoderTest, FullGradientsEqualAutograd) {
  const DecoderOptions& o = GetParam().options;
  DecoderBase base = tiny_base(o, at::kDouble);
  const std::vector<std::int64_t> lengths{6, 11, 1, 4};
  const auto examples = tiny_examples(lengths, o.vocab_size);
  FullGradients gradients = base;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
  for_each_tensor(o, gradients, [&](const TensorRows&, at::Tensor& tensor) {
    pairs.emplace_back(tensor, at::zeros_like(tensor));
    tensor = pairs.back().second;
  });
  if (o.tied_head) gradients.head_VD = gradients.embed_VD;

  const PackTrial trial;
  const Batch batch(examples);
  const std::vector<std::vector<std::int64_t>> all_lengths{lengths};
  BuiltPack built = build_pack(plan_passes(all_lengths, 100)[0], std::span(&trial, 1), std::span(&batch, 1), at::kCPU);
  built.pack.scale_N = built.pack.scale_N.to(at::kDouble);
  DecoderWorkspace workspace;
  train_pack(base, built.pack, {.full = &gradients}, workspace);

  for (auto& [weight, gradient] : pairs) weight.requires_grad_();
  at::Tensor nll = at::zeros({}, at::kDouble);
  for (const auto& example : examples) nll = nll + reference_nll(base, wide_ids(example), example.loss, nullptr);
  (nll * scale_of(batch)).backward();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    SCOPED_TRACE("tensor " + std::to_string(i));
    EXPECT_TRUE(same(pairs[i].second, pairs[i].first.grad()));
  }
}

// Noise is of what the embedding module gives: behind Gemma's factor, before Granite's.
TEST(NoiseTest, StandsWhereTheEmbeddingModuleEnds) {
  for (const bool outside : {false, true}) {
    DecoderOptions o = tiny_options();
    o.embedding_scale = 4.5;
    o.scaled_outside = outside;
    DecoderBase base = tiny_base(o, at::kDouble);
    std::vector<Example> examples = tiny_examples({9}, o.vocab_size);
    for (std::size_t i = 0; i < 9; ++i) examples[0].ids[i] = static_cast<std::int32_t>(i);  // each token once
    const PackTrial trial;
    const Batch batch(examples);
    const std::vector<std::vector<std::int64_t>> lengths{batch.lengths()};
    BuiltPack built = build_pack(plan_passes(lengths, 100)[0], std::span(&trial, 1), std::span(&batch, 1), at::kCPU);
    built.pack.noise_TD = at::randn({built.pack.tokens, o.width}, at::kDouble);
    DecoderWorkspace workspace;
    const at::Tensor noisy = evaluate_pack(base, built.pack, nullptr, workspace).nll_N;
    const at::Tensor noise = built.pack.noise_TD.narrow(0, 0, 9) / (outside ? 1 : o.embedding_scale);
    base.embed_VD.narrow(0, 0, 9).add_(noise);
    built.pack.noise_TD = at::Tensor();
    EXPECT_TRUE(same(noisy, evaluate_pack(base, built.pack, nullptr, workspace).nll_N)) << outside;
  }
}

// An objective over pairs, as preference losses are: an example's two sequences, with summed losses n and those of a
// reference model r, add -log sigmoid(beta ((n[1] - r[1]) - (n[0] - r[0]))).
class PairObjective : public Objective {
 public:
  explicit PairObjective(double beta) : beta_(beta) {}
  at::Tensor weights(const Pack& pack, const PackLosses* losses) const override {
    if (losses == nullptr) return {};
    at::Tensor weight_N = at::zeros_like(losses->nll_N);
    for (std::size_t i = 0; i < pack.sequences.size(); i += 2) {
      const at::Tensor pull = at::sigmoid(margin(pack, losses->nll_N, i) * -beta_) * beta_;
      rows(weight_N, pack.sequences[i]).add_(pull);
      rows(weight_N, pack.sequences[i + 1]).sub_(pull);
    }
    return weight_N;
  }
  std::vector<Figure> figures(const Pack& pack, const PackLosses& losses) const override {
    const at::Tensor loss_N = at::zeros_like(losses.nll_N);
    for (std::size_t i = 0; i < pack.sequences.size(); i += 2)
      rows(loss_N, pack.sequences[i]).narrow(0, 0, 1).sub_(at::log_sigmoid(margin(pack, losses.nll_N, i) * beta_));
    return {{"loss", loss_N}};
  }

 private:
  static at::Tensor rows(const at::Tensor& values_N, const SequenceRows& sequence) {
    return values_N.narrow(0, sequence.begin, sequence.end - sequence.begin);
  }
  static at::Tensor margin(const Pack& pack, const at::Tensor& nll_N, std::size_t i) {
    const SequenceRows &chosen = pack.sequences[i], &rejected = pack.sequences[i + 1];
    return (rows(nll_N, rejected).sum() - rejected.reference) - (rows(nll_N, chosen).sum() - chosen.reference);
  }
  double beta_;
};

TEST(ObjectiveTest, WeightsThatDependOnAPartnersAndAReferencesLossesEqualAutograd) {
  DecoderOptions o = tiny_options();
  o.logit_softcap = 3;
  const DecoderBase base = tiny_base(o, at::kDouble);
  const auto parts = tiny_examples({6, 11, 5, 4}, o.vocab_size);
  std::vector<Example> examples(2);
  for (std::size_t i = 0; i < parts.size(); ++i) {  // two sequences each, one behind the other
    Example& example = examples[i / 2];
    example.ids.insert(example.ids.end(), parts[i].ids.begin(), parts[i].ids.end());
    example.loss.insert(example.loss.end(), parts[i].loss.begin(), parts[i].loss.end());
    example.ends.push_back(std::ssize(example.ids));
  }
  Examples all(examples);
  all.set_reference({{0, 1.5}, {3, 4.5}});
  FullGradients gradients = base;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
  for_each_tensor(o, gradients, [&](const TensorRows&, at::Tensor& tensor) {
    pairs.emplace_back(tensor, at::zeros_like(tensor));
    tensor = pairs.back().second;
  });
  const PackTrial trial;
  const Batch batch(all);
  const std::vector<std::vector<std::int64_t>> lengths{batch.lengths()};
  const BuiltPack built =
      build_pack(plan_passes(lengths, 100)[0], std::span(&trial, 1), std::span(&batch, 1), at::kCPU);
  ASSERT_EQ(built.pack.sequences.size(), 4u);
  EXPECT_EQ(built.pack.sequences[1].example, 0);
  EXPECT_EQ(built.pack.sequences[2].example, 1);
  DecoderWorkspace workspace;
  const PairObjective objective(0.3);
  const PackLosses losses = train_pack(base, built.pack, {.full = &gradients}, workspace, objective);

  for (auto& [weight, gradient] : pairs) weight.requires_grad_();
  std::vector<at::Tensor> nll;
  for (const auto& part : parts) nll.push_back(reference_nll(base, wide_ids(part), part.loss, nullptr));
  const at::Tensor loss =
      -(at::log_sigmoid((nll[1] - nll[0] - 1.5) * 0.3) + at::log_sigmoid((nll[3] - nll[2] - 1.5) * 0.3));
  EXPECT_TRUE(same(objective.figures(built.pack, losses).front().values_N.sum().view({1}), loss.view({1})));
  loss.backward();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    SCOPED_TRACE("tensor " + std::to_string(i));
    EXPECT_TRUE(same(pairs[i].second, pairs[i].first.grad()));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, DecoderTest, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace finetune::testing
