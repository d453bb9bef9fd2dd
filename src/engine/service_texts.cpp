// Sequences of several slots, and of the base, decoded side by side.
#include <algorithm>

#include "engine/evaluate.h"
#include "engine/out_of_memory.h"
#include "engine/service.h"
#include "kernels/torch/reproducible.h"
#include "models/generate/generate.h"

namespace finetune {
namespace {

// Where a sequence of the call belongs.
struct Place {
  std::size_t request, prompt;
};

constexpr std::uint64_t kStreamsOfPrompt = std::uint64_t{1} << 32;

}  // namespace

std::vector<SampleAnswer> Service::sample_together(std::span<const SampleRequest> requests) const {
  std::vector<AdapterChoice> adapters;
  std::vector<Prompt> prompts;
  std::vector<Place> places;
  GenerateOptions how{
      .max_new_tokens = 0, .tokens_per_pass = options_.tokens_per_pass, .cache_bytes = options_.cache_bytes};
  for (std::size_t r = 0; r < requests.size(); ++r) {
    const SampleRequest& request = requests[r];
    adapters.push_back(choice_of(request.slot ? slots_.at(*request.slot).trial : PackTrial()));
    how.max_new_tokens = std::max(how.max_new_tokens, request.max_new_tokens);
    for (std::size_t p = 0; p < request.prompts.size(); ++p) {
      for (std::int64_t n = 0; n < request.count; ++n) {
        prompts.push_back({.trial = r, .ids = request.prompts[p], .sampling = request.sampling});
        prompts.back().sampling.stream = p * kStreamsOfPrompt + static_cast<std::uint64_t>(n);
        places.push_back({r, p});
      }
    }
  }
  std::vector<SampledSequence> sequences(prompts.size());
  const SequenceWatch watch{
      .on_token =
          [&](std::size_t sequence, SequenceWatch::Ids ids) {
            check_interrupt();
            const SampleRequest& request = requests[places[sequence].request];
            return std::ssize(ids) >= request.max_new_tokens || (request.ends && request.ends(ids));
          },
      .on_logprob = [&](std::size_t sequence, float logprob) { sequences[sequence].logprobs.push_back(logprob); }};
  auto ids = generate(store_.base(0), store_.trainables(0).bank, adapters, prompts, how, watch);
  std::vector<SampleAnswer> answers(requests.size());
  for (std::size_t r = 0; r < requests.size(); ++r) answers[r].sequences.resize(requests[r].prompts.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    sequences[i].ids = std::move(ids[i]);
    answers[places[i].request].sequences[places[i].prompt].push_back(std::move(sequences[i]));
  }
  return answers;
}

// Who does not fit beside others may fit alone; what a text becomes does not depend on it.
std::vector<SampleAnswer> Service::sample_fitting(std::span<const SampleRequest> requests) const {
  std::vector<SampleAnswer> answers;
  if (fits([&] { answers = sample_together(requests); })) return answers;
  if (requests.size() == 1) return {{.failure = "out of memory for its keys and values; ask for fewer tokens"}};
  for (std::size_t i = 0; i < requests.size(); ++i) answers.push_back(sample_fitting(requests.subspan(i, 1)).front());
  return answers;
}

std::vector<SampleAnswer> Service::sample(std::span<const SampleRequest> requests) const {
  const ops::UseKernels kernels(options_.kernels);
  return sample_fitting(requests);
}

}  // namespace finetune
