#include "host/samples.h"

#include <algorithm>

#include "core/error.h"
#include "data/prompts.h"
#include "engine/evaluate.h"
#include "engine/generate_text.h"
#include "engine/out_of_memory.h"

namespace finetune {
namespace {

constexpr std::size_t kSamples = 10;
constexpr std::int64_t kMostTokens = 48;

// Those that come first in the validation data.
PromptSet sampled_prompts(const Session& session) {
  const Dataset& valid = session.data.valid;
  std::vector<std::pair<std::int32_t, std::int64_t>> places;
  for (const ExampleView& example : valid.examples) {
    if (places.size() < kSamples) places.emplace_back(example.file, example.line);
  }
  const auto wanted = [&](std::int32_t file, std::int64_t line) {
    return std::ranges::find(places, std::pair(file, line)) != places.end();
  };
  return load_prompts(valid.files, data_options(session.config, {}), *session.model.tokenizer, false, wanted);
}

std::vector<Completion> answers(const Session& session, const PeftAdapter* adapter, const PromptSet& prompts,
                                const TextOptions& options) {
  const DecoderBase& base = session.model.bases.front();
  const SingleAdapter single(base, adapter);
  const AdapterChoice choice = choice_of(single.trial());
  EvaluatedPack pack{.base = base, .bank = single.bank(), .adapters = std::span(&choice, 1)};
  pack.interrupted = session.interrupted;
  return generate_texts(pack, *session.model.tokenizer, prompts.rows, options).front();
}

}  // namespace

std::vector<SampleFact> sample_outputs(const Session& session, const PeftAdapter& best) {
  const DecoderOptions& model = session.model.checkpoint.options;
  std::vector<SampleFact> samples;
  PromptSet prompts = sampled_prompts(session);
  const auto too_long = [&](const PromptRow& row) { return std::ssize(row.ids) > model.max_positions; };
  std::erase_if(prompts.rows, too_long);
  const bool has_answers =
      std::ranges::any_of(prompts.rows, [](const PromptRow& row) { return !row.reference.empty(); });
  if (!has_answers) return samples;
  const GenerateConfig& generate = session.config.tune.generate;
  const TextOptions options{
      .max_new_tokens = std::min(kMostTokens, generate.max_new_tokens),
      .end_ids = end_ids_for(session.config.model.path, model.vocab_size, *session.model.tokenizer, prompts),
      .stop = generate.stop};
  try {
    const ops::UseKernels kernels(session.model.kernels);
    const auto written_by = [&](const PeftAdapter* adapter) {
      std::vector<Completion> texts;
      with_memory([&] { texts = answers(session, adapter, prompts, options); },
                  [] { throw failed("", "out of memory"); });
      return texts;
    };
    const auto of_base = written_by(session.model.adapter ? &*session.model.adapter : nullptr);
    const auto of_best = written_by(&best);
    for (std::size_t i = 0; i < prompts.rows.size(); ++i)
      samples.push_back({prompts.rows[i].text, prompts.rows[i].reference, of_base[i].text, of_best[i].text});
  } catch (const Interrupted&) {  // the report does without
    samples.clear();
  } catch (const Error& error) {
    session.say(std::string("the report has no sample outputs: ") + error.what());
    samples.clear();
  }
  return samples;
}

}  // namespace finetune
