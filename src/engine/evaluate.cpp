#include "engine/evaluate.h"

#include <ATen/ATen.h>

#include "engine/pack_builder.h"
#include "models/dora.h"

namespace finetune {
namespace {

constexpr std::int64_t kProbeTokens = 4096;

}  // namespace

SingleAdapter::SingleAdapter(const DecoderBase& base, const PeftAdapter* adapter) {
  if (adapter == nullptr) return;
  const AdapterSpec& spec = adapter->spec;
  const SlotOptions slot{.rank = spec.patterns.largest_rank(spec.rank),
                         .targets = spec.targets,
                         .scale = adapter_scale(spec.alpha, spec.rank, spec.rslora),
                         .dora = spec.dora,
                         .saved = spec.saved,
                         .modules = module_ranks("", spec, base.options)};
  const BankOptions options{.slots = 1,
                            .rank = slot.rank,
                            .targets = slot.targets,
                            .magnitudes = slot.dora,
                            .saved = slot.saved,
                            .scales = !slot.modules.empty()};
  bank_ = std::make_unique<AdapterBank>(base.options, options, base.embed_VD.device());
  bank_->load(0, slot, adapter->tensors);
  bank_->set_scales(0, slot);
  if (slot.dora) refresh_magnitudes(*bank_, 0, slot, base);
  trial_.rank = computed_rank(slot.rank);
  trial_.scale = static_cast<float>(slot.scale);
  trial_.targets = spec.targets;
  trial_.dora = spec.dora;
  trial_.saved = spec.saved;
}

AdapterChoice choice_of(const PackTrial& trial) {
  return {.slot = trial.slot,
          .rank = trial.rank,
          .scale = trial.scale,
          .targets = trial.targets,
          .dora = trial.dora,
          .saved = trial.saved};
}

std::vector<ExampleLoss> evaluate_examples(const DecoderBase& base, const PeftAdapter* adapter, const Batch& examples,
                                           std::int64_t tokens_per_pass) {
  const SingleAdapter single(base, adapter);
  const PackTrial& trial = single.trial();
  std::vector<ExampleLoss> losses(examples.examples.size());
  DecoderWorkspace workspace;
  const std::vector<std::vector<std::int64_t>> lengths{examples.lengths()};
  for (const Pass& pass : plan_passes(lengths, tokens_per_pass)) {
    const BuiltPack built = build_pack(pass, std::span(&trial, 1), std::span(&examples, 1), base.embed_VD.device(),
                                       pack_model(base.options));
    const PackLosses result = evaluate_pack(base, built.pack, single.bank(), workspace);
    const at::Tensor nll_N = result.nll_N.cpu(), correct_N = result.correct_N.cpu();
    std::int64_t row = 0;
    for (const Chunk& chunk : pass.chunks) {
      for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
        ExampleLoss& loss = losses[i];
        loss.tokens = std::ssize(examples.examples[i].ids);
        loss.loss_tokens = examples.examples[i].loss_tokens();
        for (std::int64_t k = 0; k < loss.loss_tokens; ++k, ++row) {
          loss.nll += static_cast<double>(nll_N.const_data_ptr<float>()[row]);
          loss.correct += correct_N.const_data_ptr<std::uint8_t>()[row];
        }
      }
    }
  }
  return losses;
}

std::vector<ExampleLoss> evaluate_examples(const OpenedModel& model, const Batch& examples,
                                           std::int64_t tokens_per_pass) {
  const ops::UseKernels kernels(model.kernels);
  return evaluate_examples(model.bases.front(), model.adapter ? &*model.adapter : nullptr, examples, tokens_per_pass);
}

MeasuredMetrics evaluate_model(const OpenedModel& model, const Evaluator& evaluator,
                               const std::function<void(const std::string&)>& say) {
  const ops::UseKernels kernels(model.kernels);
  const DecoderBase& base = model.bases.front();
  const SingleAdapter adapter(base, model.adapter ? &*model.adapter : nullptr);
  const AdapterChoice choice = choice_of(adapter.trial());
  EvaluatedPack pack{.base = base, .bank = adapter.bank(), .adapters = std::span(&choice, 1)};
  pack.say = say;
  return evaluator.evaluate(pack).front();
}

double probe_loss(const BaseModel& model, const PeftAdapter* adapter, const Batch& examples) {
  const DecoderBase base = make_base(model, at::kCPU);
  double nll = 0, tokens = 0;
  for (const auto& loss : evaluate_examples(base, adapter, examples, kProbeTokens)) {
    nll += loss.nll;
    tokens += static_cast<double>(loss.loss_tokens);
  }
  return nll / tokens;
}

}  // namespace finetune
