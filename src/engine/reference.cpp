#include "engine/reference.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>

#include "core/error.h"
#include "core/text.h"
#include "engine/pack_builder.h"

namespace finetune {
namespace {

double sum_of_rows(const at::Tensor& nll_N, const SequenceRows& sequence) {
  const float* nll = nll_N.const_data_ptr<float>();
  double sum = 0;
  for (std::int64_t row = sequence.answer; row < sequence.end; ++row) sum += static_cast<double>(nll[row]);
  return sum;
}

}  // namespace

std::vector<std::vector<double>> ReferenceModel::answer_losses(const Batch& examples, std::int64_t tokens_per_pass,
                                                               const std::function<bool()>& interrupted) const {
  const std::vector<std::vector<std::int64_t>> lengths{examples.lengths()};
  const PackTrial& trial = adapter_.trial();
  std::vector<std::vector<double>> losses;
  DecoderWorkspace workspace;
  for (const Pass& pass : plan_passes(lengths, tokens_per_pass)) {
    if (interrupted && interrupted()) throw Interrupted();
    const BuiltPack built = build_pack(pass, std::span(&trial, 1), std::span(&examples, 1), base_.embed_VD.device(),
                                       pack_model(base_.options));
    const at::Tensor nll_N = evaluate_pack(base_, built.pack, adapter_.bank(), workspace).nll_N.cpu();
    std::int64_t example = -1;
    for (const SequenceRows& sequence : built.pack.sequences) {
      if (sequence.example != example) losses.emplace_back();
      example = sequence.example;
      losses.back().push_back(sum_of_rows(nll_N, sequence));
    }
  }
  return losses;
}

void set_references(Session& session) {
  const char* name = to_text(session.config.train.objective);
  if (!objective_named(name).needs_reference()) return;
  const auto start = std::chrono::steady_clock::now();
  const ops::UseKernels kernels(session.model.kernels);
  const ReferenceModel reference(session.model.bases.front(),
                                 session.model.adapter ? &*session.model.adapter : nullptr);
  std::int64_t answers = 0, tokens = 0;
  for (Dataset* data : {&session.data.train, &session.data.valid, &session.data.test}) {
    const auto losses = reference.answer_losses(data->examples, session.tokens_per_pass, session.interrupted);
    data->examples.set_reference(losses);
    for (const std::vector<double>& of_example : losses) answers += std::ssize(of_example);
    tokens += data->tokens;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  session.say(fmt::format("{}: {} answers ({} tokens) under the model as it started, once for all trials: {}", name,
                          with_commas(answers), with_commas(tokens), duration_text(seconds)));
}

}  // namespace finetune
