#include "engine/evaluate_objective.h"

#include <memory>

#include "engine/packed_trainer.h"
#include "engine/reference.h"

namespace finetune {
namespace {

// A trial that is the adapter; without one, of adapters that change nothing.
TrainConfig trial_of(const PeftAdapter* adapter, const TrainConfig& given) {
  TrainConfig config = given;
  config.method = TrainMethod::lora;
  config.lora.init = LoraInit::standard;  // what a run's adapter began as is in it
  config.lora.dora = adapter != nullptr && adapter->spec.dora;
  config.lora.modules_to_save = adapter != nullptr ? adapter->spec.saved.names() : std::vector<std::string>();
  config.lora.rank_pattern.clear();
  config.lora.alpha_pattern.clear();
  if (adapter == nullptr) return config;
  config.lora.rank_pattern = adapter->spec.patterns.ranks;
  config.lora.alpha_pattern = adapter->spec.patterns.alphas;
  config.lora.rank = adapter->spec.rank;
  config.lora.alpha = adapter->spec.alpha;
  config.lora.rslora = adapter->spec.rslora;
  config.lora.targets.clear();
  for (const Projection one : adapter->spec.targets.members()) config.lora.targets.emplace_back(name_of(one));
  return config;
}

}  // namespace

EvalResult evaluate_objective(Session& session) {
  const OpenedModel& model = session.model;
  const DecoderBase& base = model.bases.front();
  const PeftAdapter* adapter = model.adapter ? &*model.adapter : nullptr;
  const TrainConfig config = trial_of(adapter, session.config.train);
  const auto reference = std::make_shared<const ReferenceModel>(base, nullptr);
  Examples& examples = session.data.valid.examples;
  const ops::UseKernels kernels(model.kernels);
  examples.set_reference(reference->answer_losses(examples, session.tokens_per_pass));
  const auto store = make_lora_store(base,
                                     {.slots = 1,
                                      .max_rank = patterns_of(config.lora).largest_rank(config.lora.rank),
                                      .targets = resolve_targets(base.options, config.lora.targets),
                                      .magnitudes = config.lora.dora,
                                      .saved = saved_modules_of(config.lora),
                                      .scales = !patterns_of(config.lora).empty()},
                                     adapter != nullptr ? &adapter->tensors : nullptr);
  PackedTrainer trainer(*store, examples, examples,
                        {.tokens_per_pass = session.tokens_per_pass,
                         .objective = &objective_named(to_text(config.objective)),
                         .reference = reference,
                         .max_length = session.config.data.max_length,
                         .kernels = model.kernels});
  const TrialId trial{0};
  trainer.admit(trial, config);
  return trainer.evaluate(std::span(&trial, 1), {.tasks = false}).front();
}

}  // namespace finetune
