// Greedy decoding beside transformers: generate_peer.py writes the prompts, transformers' ids and its times.
//
//     bench_generate MODEL REFERENCE.json
//
// Says whether the ids are the same, then the times of one trial, of 16 trials side by side in one pack and in two
// lanes as a study with `run.lanes: auto` computes small models, and of a single sequence against the rate at which
// this machine reads memory.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/strict_json.h"
#include "kernels/torch/threads.h"
#include "models/checkpoint.h"
#include "models/generate/generate.h"

namespace finetune {
namespace {

using Ids = std::vector<std::int32_t>;

double seconds_of(const std::function<void()>& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

// The best of some passes over more than the caches hold.
double bytes_read_per_second() {
  const at::Tensor all = at::ones({96 << 20});
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    best = std::min(best, seconds_of([&] {
                      volatile float sum = all.sum().item<float>();
                      static_cast<void>(sum);
                    }));
  }
  return static_cast<double>(all.nbytes()) / best;
}

struct Bench {
  explicit Bench(const std::string& folder)
      : model(load_checkpoint(folder, at::kFloat)),
        base(make_base(model, at::kCPU)),
        bank(model.options, {.slots = 16, .rank = 16, .targets = ProjectionSet::all(), .dtype = at::kFloat}, at::kCPU) {
    for (std::int64_t slot = 0; slot < 16; ++slot) {
      bank.initialize(slot, {.rank = 16, .targets = ProjectionSet::all()}, static_cast<std::uint64_t>(slot));
      adapters.push_back({.slot = slot, .rank = 16, .scale = 2, .targets = ProjectionSet::all()});
    }
    adapters.emplace_back();
  }
  std::size_t tokens_of(const std::vector<Prompt>& prompts, std::int64_t new_tokens) const {
    std::size_t tokens = 0;
    for (const Ids& ids : generate(base, &bank, adapters, prompts, {.max_new_tokens = new_tokens}))
      tokens += ids.size();
    return tokens;
  }
  // New tokens, and the seconds they took: the median of three.
  void time(const char* what, const std::vector<std::vector<Prompt>>& lanes, std::int64_t new_tokens) const {
    std::vector<double> times;
    std::vector<std::size_t> tokens(lanes.size());
    for (int i = 0; i < 3; ++i) {
      times.push_back(seconds_of([&] {
        std::vector<std::jthread> threads;
        for (std::size_t lane = 1; lane < lanes.size(); ++lane) {
          threads.emplace_back([&, lane] {
            set_thread_count(1);
            tokens[lane] = tokens_of(lanes[lane], new_tokens);
          });
        }
        if (lanes.size() > 1) set_thread_count(1);
        tokens[0] = tokens_of(lanes[0], new_tokens);
      }));
    }
    std::sort(times.begin(), times.end());
    std::size_t all = 0;
    for (const std::size_t one : tokens) all += one;
    std::printf("%-32s %8.3f s  %9.1f tokens/s\n", what, times[1], static_cast<double>(all) / times[1]);
  }

  BaseModel model;
  DecoderBase base;
  AdapterBank bank;
  std::vector<AdapterChoice> adapters;  // of 16 trials, and the bare base
};

std::vector<Prompt> prompts_of(const nlohmann::ordered_json& lists, std::size_t trial) {
  std::vector<Prompt> prompts;
  for (const auto& ids : lists) prompts.push_back({trial, ids.get<Ids>()});
  return prompts;
}

void compare(const Bench& bench, const nlohmann::ordered_json& reference) {
  const auto prompts = prompts_of(reference.at("mixed"), 16);
  GenerateOptions options;
  options.max_new_tokens = reference.at("new_tokens").get<std::int64_t>();
  options.end_ids = reference.at("end_ids").get<Ids>();
  const auto ids = generate(bench.base, nullptr, bench.adapters, prompts, options);
  std::size_t same = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto expected = reference.at("mixed_ids")[i].get<Ids>();
    same += ids[i] == expected ? 1 : 0;
    const auto other = std::ranges::mismatch(ids[i], expected);
    if (ids[i] != expected) std::printf("prompt %zu differs from new token %td on\n", i, other.in1 - ids[i].begin());
  }
  std::printf("%zu of %zu continuations as transformers'\n", same, ids.size());
}

void single_sequence(const Bench& bench) {
  const Prompt prompt{16, Ids(8, 1)};
  const std::int64_t tokens = 64;
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) {
    const auto run = [&](std::int64_t count) {
      return seconds_of(
          [&] { generate(bench.base, nullptr, bench.adapters, std::vector{prompt}, {.max_new_tokens = count}); });
    };
    times.push_back((run(tokens + 1) - run(1)) / static_cast<double>(tokens));
  }
  std::sort(times.begin(), times.end());
  double bytes = 0;
  DecoderBase weights = bench.base;
  for_each_tensor(weights.options, weights,
                  [&](const TensorRows&, at::Tensor& tensor) { bytes += static_cast<double>(tensor.nbytes()); });
  const double read = bytes_read_per_second();
  std::printf("a single sequence: %.2f ms a token, %.1f GB/s of weights; this machine reads %.1f GB/s: %.0f %%\n",
              times[1] * 1e3, bytes / times[1] / 1e9, read / 1e9, 100 * bytes / times[1] / read);
}

int run(const char* folder, const char* file) {
  const auto reference = read_json_file(file);
  const Bench bench(folder);
  compare(bench, reference);
  const auto new_tokens = reference.at("new_tokens").get<std::int64_t>();
  const int threads = at::get_num_threads();
  bench.time("one trial", {prompts_of(reference.at("batch"), 0)}, new_tokens);
  std::vector<Prompt> all;
  std::vector<std::vector<Prompt>> lanes(2);
  for (std::size_t trial = 0; trial < 16; ++trial) {
    for (Prompt& prompt : prompts_of(reference.at("batch"), trial)) {
      all.push_back(prompt);
      lanes[trial / 8].push_back(std::move(prompt));
    }
  }
  bench.time("16 trials side by side", {all}, new_tokens);
  bench.time("16 trials in two lanes", lanes, new_tokens);
  set_thread_count(threads);
  std::printf("transformers: %.3f s a trial, 16 in turn %.3f s\n", reference.at("seconds").get<double>(),
              16 * reference.at("seconds").get<double>());
  single_sequence(bench);
  return 0;
}

}  // namespace
}  // namespace finetune

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: bench_generate MODEL REFERENCE.json\n"), 2;
  return finetune::run(argv[1], argv[2]);
}
