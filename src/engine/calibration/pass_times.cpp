#include "engine/calibration/pass_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "engine/packed_trainer.h"
#include "engine/random_model.h"

namespace finetune {
namespace {

constexpr std::int64_t kTriedLayers = 2, kTriedTrials = 4, kTriedRows = 4, kTriedLength = 128;
constexpr int kWarmSteps = 4, kTimedSteps = 10;
constexpr double kLossesAgree = 0.01;  // bf16, of padded sizes: tests/engine/test_gpu.cpp

TrainConfig tried_trial(std::int64_t rank) {
  TrainConfig config;
  config.batch_size = kTriedRows;
  config.learning_rate = 1e-4;
  config.warmup_ratio = 0;
  config.lora.rank = rank;
  config.lora.targets = {"all-linear"};
  return config;
}

double middle_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

DecoderBase tried_base(const KernelShape& shape, at::ScalarType dtype, at::Device device) {
  return random_base(decoder_of(shape, kTriedLayers, kTriedLength), dtype, device);
}

StepTimes time_steps(const DecoderBase& base, std::int64_t rank, const ops::KernelTable& table) {
  const at::Device device = base.embed_VD.device();
  const Examples rows = random_rows(64, kTriedLength / 2, kTriedLength, base.options.vocab_size);
  const auto store =
      make_lora_store(base, {.slots = kTriedTrials, .max_rank = rank, .targets = ProjectionSet::all()}, nullptr);
  PackedTrainer trainer(*store, rows, Examples(),
                        {.tokens_per_pass = kTriedTrials * kTriedRows * kTriedLength,
                         .ahead = !device.is_cpu(),
                         .graphs = table.graphs(),
                         .kernels = table});
  std::vector<TrialId> trials;
  for (std::int64_t i = 0; i < kTriedTrials; ++i) {
    trials.push_back({i});
    trainer.admit(trials.back(), tried_trial(rank));
  }
  StepTimes times;
  std::vector<double> seconds;
  for (int step = 0; step < kWarmSteps + kTimedSteps; ++step) {
    const auto started = std::chrono::steady_clock::now();
    for (const StepResult& result : trainer.step(trials)) times.losses.push_back(result.train_loss);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (step >= kWarmSteps) seconds.push_back(took);
  }
  times.seconds = middle_of(std::move(seconds));
  return times;
}

GraphsFound compare_steps(const StepTimes& eager, const StepTimes& graphs) {
  GraphsFound found{.eager_s = eager.seconds, .graphs_s = graphs.seconds};
  double worst = 0;
  for (std::size_t i = 0; i < eager.losses.size(); ++i) {
    const double other = i < graphs.losses.size() ? graphs.losses[i] : std::nan("");
    const double off = std::abs(other - eager.losses[i]) / std::abs(eager.losses[i]);
    if (!(off <= worst)) worst = off;
  }
  if (!(worst <= kLossesAgree)) {
    found.why = fmt::format("wrong: a loss is off by {:.1e}", worst);
  } else {
    found.takes_graphs = graphs.seconds < eager.seconds;
    found.why = fmt::format("{:.2f} times as fast as without", eager.seconds / graphs.seconds);
  }
  return found;
}

nlohmann::ordered_json to_json(const GraphsFound& found) {
  return {{"eager_seconds", found.eager_s},
          {"graphs_seconds", found.graphs_s},
          {"choice", found.takes_graphs ? "graphs" : "eager"},
          {"why", found.why}};
}

GraphsFound graphs_from_json(const std::string& where, const nlohmann::ordered_json& json) {
  const auto is_time = [&](const char* name) {
    return json.contains(name) && json[name].is_number() && json[name].get<double>() >= 0;
  };
  const bool good = json.is_object() && is_time("eager_seconds") && is_time("graphs_seconds") &&
                    json.contains("choice") && (json["choice"] == "graphs" || json["choice"] == "eager") &&
                    json.contains("why") && json["why"].is_string();
  if (!good) throw bad_input(where, "is no measurement of graphs: " + json.dump().substr(0, 80));
  return {.eager_s = json["eager_seconds"].get<double>(),
          .graphs_s = json["graphs_seconds"].get<double>(),
          .takes_graphs = json["choice"] == "graphs",
          .why = json["why"].get<std::string>()};
}

}  // namespace finetune
