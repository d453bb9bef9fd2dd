// One measurement of a study on the packed engine with random weights of a true shape; prints one JSON object. Speeds
// of training alone are what `finetune_tune bench` measures. tests/bench/gpu.sh runs both case by case; `--device cpu
// --shape tiny` runs the same code without a GPU.
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/gpu/profile.h"
#include "core/error.h"
#include "engine/devices.h"
#include "engine/packed_trainer.h"
#include "engine/random_model.h"
#include "engine/shapes.h"
#include "engine/short_waits.h"
#include "engine/study.h"
#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/graph.h"
#include "tuners/registry.h"

namespace finetune::bench {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string what = "sweep", device = "cuda:0", shape = "tiny", dtype = "bfloat16", kernels = "written";
  std::string scheduler = "none";
  std::int64_t trials = 1, shortest = 1024, longest = 1024, batch = 0, tokens_per_pass = 16384, configurations = 16;
  std::int64_t steps = 40;
  std::vector<std::int64_t> ranks{16};
  bool graphs = true, full = false;
};

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// The model, its data and a store of slots: what all cases start from.
struct Bench {
  explicit Bench(const Options& o)
      : options(o),
        device(resolve_devices({o.device}).front()),
        dtype(o.dtype == "float32" ? at::kFloat : at::kBFloat16),
        base(random_base(shape_of("--shape", o.shape, std::max<std::int64_t>(o.longest, 64)), dtype, device)),
        rows(random_rows(512, o.shortest, o.longest, base.options.vocab_size)),
        kernels(o.kernels == "written" ? ops::KernelTable::written() : ops::KernelTable::composition()) {}

  std::unique_ptr<ParameterStore> store(std::int64_t slots) const {
    StoreOptions wanted{.slots = slots, .max_rank = *std::max_element(options.ranks.begin(), options.ranks.end())};
    wanted.targets = ProjectionSet::all();
    return options.full ? make_full_store(base, wanted) : make_lora_store(base, wanted, nullptr);
  }
  bool captures() const {
    return options.graphs && ops::graphs_problem(device) == nullptr &&
           ops::can_capture(device, dtype, base.options.head_dim, kernels);
  }
  std::unique_ptr<PackedTrainer> trainer(ParameterStore& bank, std::span<const Example> valid = {}) const {
    return std::make_unique<PackedTrainer>(
        bank, rows, valid,
        TrainerOptions{.tokens_per_pass = options.tokens_per_pass,
                       .ahead = !device.is_cpu(),
                       .graphs = captures(),
                       .kernels = kernels,
                       .say = [](const std::string& line) { std::cerr << line << "\n"; }});
  }
  TrainConfig config(std::int64_t trial) const {
    TrainConfig c;
    c.method = options.full ? TrainMethod::full : TrainMethod::lora;
    c.steps = 1000;
    c.batch_size = options.batch;
    c.learning_rate = options.full ? 1e-5 : 2e-4;
    c.warmup_ratio = 0;
    c.lora.rank = options.ranks[static_cast<std::size_t>(trial) % options.ranks.size()];
    c.lora.alpha = 2 * static_cast<double>(c.lora.rank);
    c.lora.targets = {"all-linear"};
    return c;
  }
  std::vector<TrialId> admit(PackedTrainer& trainer, std::int64_t first, std::int64_t count) const {
    std::vector<TrialId> ids;
    for (std::int64_t i = first; i < first + count; ++i) {
      ids.push_back({i});
      trainer.admit(ids.back(), config(i));
    }
    return ids;
  }
  double peak_gigabytes() const {
    if (device.is_cpu()) return 0;
    const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return static_cast<double>(
               stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak) *
           1e-9;
  }

  Options options;
  at::Device device;
  at::ScalarType dtype;
  DecoderBase base;
  std::vector<Example> rows;
  ops::KernelTable kernels;
};

// Steps until nothing new has been captured for a while.
double warm_up(PackedTrainer& trainer, const std::vector<TrialId>& ids) {
  double loss = 0;
  for (int step = 0, calm = 0; step < 60 && calm < 5; ++step) {
    const std::int64_t before = trainer.captures();
    loss = trainer.step(ids).front().train_loss;
    calm = trainer.captures() == before ? calm + 1 : 0;
  }
  return loss;
}

// From a decision to the step that obeys it, less an ordinary step; and what a slot costs to copy, pause and resume.
Json latency(const Bench& bench) {
  const auto bank = bench.store(bench.options.trials);
  const auto trainer = bench.trainer(*bank);
  auto ids = bench.admit(*trainer, 0, bench.options.trials);
  warm_up(*trainer, ids);
  const auto settle = [&] { bank->params_SP().flatten().narrow(0, 0, 1).item<float>(); };  // waits for the device
  const auto timed = [&](const auto& act) {
    settle();
    const auto start = Clock::now();
    act();
    settle();
    return 1e3 * since(start);
  };
  const std::int64_t captures = trainer->captures();
  std::vector<double> plain, obeyed, clone, pause, resume;
  for (std::int64_t i = 0; i < bench.options.steps; ++i) {
    plain.push_back(timed([&] { trainer->step(ids); }));
    obeyed.push_back(timed([&] {
      TrainConfig faster = bench.config(0);
      faster.learning_rate *= 1 + 0.01 * static_cast<double>(i);
      trainer->change(ids.front(), faster);
      trainer->step(ids);
    }));
    if (ids.size() > 1) clone.push_back(timed([&] { trainer->copy(ids.front(), ids.back(), bench.config(0)); }));
    std::shared_ptr<const TrialImage> image;
    pause.push_back(timed([&] {
      image = trainer->capture(ids.back());
      trainer->release(ids.back());
    }));
    resume.push_back(timed([&] { trainer->restore(ids.back(), bench.config(0), *image); }));
  }
  Json json{{"step_ms", median(plain)},
            {"change_and_step_ms", median(obeyed)},
            {"decision_ms", std::max(0.0, median(obeyed) - median(plain))},
            {"pause_ms", median(pause)},
            {"resume_ms", median(resume)},
            {"slot_megabytes", 12e-6 * static_cast<double>(bank->params_SP().size(1))},
            {"recaptures", trainer->captures() - captures}};
  if (!clone.empty()) json["clone_ms"] = median(clone);
  return json;
}

Json gaps(const Bench& bench) {
  const auto bank = bench.store(bench.options.trials);
  const auto trainer = bench.trainer(*bank);
  const auto ids = bench.admit(*trainer, 0, bench.options.trials);
  warm_up(*trainer, ids);
  constexpr std::int64_t kSteps = 5;
  const DeviceProfile profile = profile_device([&] {
    trainer->submit(ids);
    for (std::int64_t step = 1; step < kSteps; ++step) {
      trainer->submit(ids);
      trainer->collect();
    }
    trainer->collect();
  });
  return {{"kernels_per_step", profile.kernels / kSteps},
          {"copies_per_step", profile.copies / kSteps},
          {"step_ms", 1e3 * profile.span_seconds / static_cast<double>(kSteps)},
          {"idle_share", profile.idle_share},
          {"captures", trainer->captures()}};
}

// A whole study: a grid of rates, ranks and batch sizes under a scheduler.
Json sweep(const Bench& bench) {
  const Options& o = bench.options;
  SearchSpace space;
  std::vector<Value> rates{1e-5, 5e-5, 2e-4, 5e-4}, ranks{std::int64_t{16}, std::int64_t{32}, std::int64_t{64}},
      batches{std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, std::int64_t{8}};
  if (o.configurations >= 60)
    rates.insert(rates.begin() + 3, 3e-4);
  else
    ranks.assign({std::int64_t{16}}),
        batches.assign({std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, std::int64_t{8}});
  space.parameters = {{.name = "train.learning_rate", .choices = rates},
                      {.name = "train.lora.rank", .choices = ranks},
                      {.name = "train.batch_size", .choices = batches}};
  const TunerOptions tuner_options{.trials = o.configurations,
                                   .max_steps = o.steps,
                                   .concurrent = o.trials,
                                   .seed = 0,
                                   .default_min_steps = std::max<std::int64_t>(1, o.steps / 10)};
  Tuner tuner(tuner_options, make_sampler("grid", {{}, space, 0}),
              make_scheduler(o.scheduler, {{}, space, tuner_options}));
  StudyOptions study_options;
  study_options.configure = [&](const Params& params) {
    TrainConfig c = bench.config(0);
    c.steps = o.steps;
    for (const auto& [name, value] : params) {
      if (name == "train.learning_rate") c.learning_rate = as_number(value);
      if (name == "train.lora.rank") c.lora.rank = static_cast<std::int64_t>(as_number(value));
      if (name == "train.batch_size") c.batch_size = static_cast<std::int64_t>(as_number(value));
    }
    c.lora.alpha = 2 * static_cast<double>(c.lora.rank);
    return c;
  };
  study_options.concurrent = o.trials;
  study_options.with_default = false;
  const auto valid = std::span(bench.rows).first(16);
  const auto bank = bench.store(o.trials);
  const auto trainer = bench.trainer(*bank, valid);
  const auto start = Clock::now();
  const StudyResult result = Study(study_options, tuner, {trainer.get()}, {}).run();
  const double seconds = since(start);
  std::int64_t completed = 0;
  for (const Trial& trial : result.trials) completed += trial.state == TrialState::completed ? 1 : 0;
  return {{"seconds", seconds},
          {"configurations", result.trials.size()},
          {"completed", completed},
          {"steps", result.steps},
          {"steps_to_the_end", o.configurations * o.steps},
          {"tokens", result.tokens},
          {"tokens_per_second", static_cast<double>(result.tokens) / seconds},
          {"best", result.best ? Json(*result.trials[*result.best].best_metric) : Json()},
          {"captures", trainer->captures()},
          {"peak_gigabytes", bench.peak_gigabytes()}};
}

Options parse(int argc, char** argv, bool& check) {
  Options o;
  CLI::App app("One measurement of the packed engine with random weights");
  app.add_flag("--check-device", check, "say whether the device is there, and end");
  app.add_option("--case", o.what)->check(CLI::IsMember({"sweep", "latency", "gaps"}));
  app.add_option("--device", o.device);
  app.add_option("--shape", o.shape)->check(CLI::IsMember(shape_names()));
  app.add_option("--dtype", o.dtype)->check(CLI::IsMember({"bfloat16", "float32"}));
  app.add_option("--kernels", o.kernels, "our own everywhere, or LibTorch's operations")
      ->check(CLI::IsMember({"written", "composition"}));
  app.add_option("--scheduler", o.scheduler);
  app.add_option("--trials", o.trials, "side by side");
  app.add_option("--configurations", o.configurations);
  app.add_option("--shortest", o.shortest, "tokens of a row")->take_last();
  app.add_option("--longest", o.longest)->take_last();
  app.add_option("--batch", o.batch, "rows of a trial's step; 0: a full pass for one trial");
  app.add_option("--tokens-per-pass", o.tokens_per_pass);
  app.add_option("--ranks", o.ranks)->delimiter(',');
  app.add_option("--steps", o.steps, "at most");
  app.add_option("--graphs", o.graphs);
  app.add_flag("--full", o.full, "all weights instead of adapters");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  if (o.batch == 0) o.batch = std::max<std::int64_t>(1, o.tokens_per_pass / o.longest / o.trials);
  return o;
}

int run(int argc, char** argv) {
  bool check = false;
  const Options options = parse(argc, argv, check);
  if (check) {
    resolve_devices({options.device});
    std::cout << describe_device(resolve_devices({options.device}).front()) << "\n";
    return 0;
  }
  const Bench bench(options);
  std::optional<ShortWaits> short_waits;
  if (bench.device.is_cpu()) short_waits.emplace();
  Json json;
  if (options.what == "sweep") json = sweep(bench);
  if (options.what == "latency") json = latency(bench);
  if (options.what == "gaps") json = gaps(bench);
  const kernels::Status kernels = kernels::cuda::available(std::max<int>(0, bench.device.index()));
  json["case"] = options.what;
  json["shape"] = options.shape;
  json["device"] = options.device;
  json["kernels"] = options.kernels;
  json["own_cuda_kernels"] = kernels.ok() ? "compiled in" : kernels.problem;
  json["graphs"] = bench.captures();
  json["trials"] = options.trials;
  json["batch"] = options.batch;
  json["rows"] = {options.shortest, options.longest};
  json["ranks"] = options.ranks;
  std::cout << json.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace finetune::bench

int main(int argc, char** argv) {
  try {
    return finetune::bench::run(argc, argv);
  } catch (const finetune::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return error.kind() == finetune::ErrorKind::bad_input ? 2 : 1;
  } catch (const c10::Error& error) {
    std::cerr << "error: " << error.what_without_backtrace() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
