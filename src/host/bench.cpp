#include "host/bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "engine/admission.h"
#include "engine/devices.h"
#include "engine/lane_count.h"
#include "engine/precision.h"
#include "engine/random_model.h"
#include "engine/rates.h"
#include "engine/session.h"
#include "engine/shapes.h"
#include "host/bench_goals.h"
#include "host/bench_speed.h"
#include "host/forecast.h"

namespace finetune {
namespace {

constexpr std::int64_t kBenchRows = 512, kBenchTokens = 4 << 20, kLongestPositions = 64;

// What suits a device: a GPU's pass is full with one trial, a processor's step ends within seconds.
void choose_sizes(BenchOptions& options, const OpenedModel& model) {
  const bool gpu = !model.devices.front().is_cpu();
  constexpr std::int64_t kFullPass = 16384;
  if (options.longest == 0) options.shortest = options.longest = gpu ? 1024 : 64;
  if (options.batch == 0)
    options.batch = gpu ? std::max<std::int64_t>(1, kFullPass / options.longest / options.trials) : 4;
  if (options.ranks.empty()) options.ranks = {options.config.train.lora.rank};
  options.config.train.batch_size = options.batch;
  options.config.train.warmup_ratio = 0;
  options.config.train.lora.rank = std::ranges::max(options.ranks);
  options.config.tune.trials = options.trials;
}

DecoderOptions sizes_of(const BenchOptions& options) {
  return shape_of("--shape", options.shape, std::max(options.longest, kLongestPositions));
}

// Devices and sizes, and nothing in memory yet.
OpenedModel open_for_bench(BenchOptions& options, std::vector<std::string>& notes,
                           const std::function<void(const std::string&)>& say) {
  if (!options.shape.empty()) return open_sizes(options.config, sizes_of(options), notes, say);
  RunConfig untouched = options.config;
  std::vector<std::string> unsaid;
  return open_model(untouched, unsaid, Weights::sizes_only);
}

void fill(OpenedModel& model, BenchOptions& options, std::vector<std::string>& notes,
          const std::function<void(const std::string&)>& say) {
  if (!options.shape.empty()) return make_random_bases(model);
  model = open_model(options.config, notes, Weights::read, say);
  read_weights(model, options.config.model);
  copy_to_devices(model);
}

void add_rows(Session& session, const BenchOptions& options) {
  Dataset& data = session.data.train;
  const std::int64_t rows = std::clamp<std::int64_t>(kBenchTokens / options.longest, options.batch, kBenchRows);
  data.examples = random_rows(rows, options.shortest, options.longest, session.model.checkpoint.options.vocab_size);
  for (auto row = data.examples.begin(); row != data.examples.end(); ++row) data.tokens += row.length();
  data.loss_tokens = data.tokens - rows;
}

bool fits(const Session& session, std::int64_t trials) {
  return std::ranges::all_of(memory_needs(session, trials), &MemoryNeed::fits);
}

// One line that says what would fit: fewer trials, or the largest shape that does.
void require_memory(Session& session, const BenchOptions& options, const std::string& name) {
  if (fits(session, options.trials)) return;
  const auto needs = memory_needs(session, options.trials);
  const MemoryNeed& need = *std::ranges::find_if_not(needs, &MemoryNeed::fits);
  std::string what = fmt::format("{} in {} with {} trial{} needs {:.1f} GB, and {} has {:.1f} to give", name,
                                 dtype_name(session.model.checkpoint.dtype), options.trials,
                                 options.trials == 1 ? "" : "s", 1e-9 * static_cast<double>(need.to_come),
                                 need.share.device.str(), 1e-9 * static_cast<double>(need.usable));
  if (options.trials > 1 && fits(session, 1)) throw bad_input("", what + "; --trials 1 would fit");
  const DecoderOptions own = session.model.checkpoint.options;
  std::string largest;
  for (const std::string& shape : shape_names()) {
    session.model.checkpoint.options = shape_of("--shape", shape, own.max_positions);
    if (fits(session, options.trials)) largest = shape;
  }
  throw bad_input("", what + (largest.empty() ? "; no shape would fit" : "; --shape " + largest + " would fit"));
}

// Of all devices of the session, in its dtype.
double products_of(const Session& session) {
  const OpenedModel& model = session.model;
  const ProductRates rates = product_rates(model.devices.front());
  return (model.checkpoint.dtype == at::kBFloat16 ? rates.bfloat16 : rates.float32) *
         static_cast<double>(memory_shares(model.devices, session.free_memory).size());
}

// Other work on the processors makes all figures too low.
void note_load(const Session& session, std::vector<std::string>& notes) {
  const double load = machine_load();
  if (!session.model.devices.front().is_cpu() || load < 0.5) return;
  notes.push_back(
      fmt::format("{:.1f} other threads were at work on this machine when it began: figures are too low", load));
}

BenchReport describe(const Session& session, const BenchOptions& options, const std::string& name) {
  const OpenedModel& model = session.model;
  const DecoderOptions& sizes = model.checkpoint.options;
  const at::Device device = model.devices.front();
  const double row = 0.5 * static_cast<double>(options.shortest + options.longest);
  const auto devices = static_cast<std::int64_t>(memory_shares(model.devices, session.free_memory).size());
  return {.model = name,
          .device = name_of_device(device),
          .driver = device.is_cpu() ? "" : gpu_driver(),
          .dtype = dtype_name(model.checkpoint.dtype),
          .method = to_text(session.config.train.method),
          .quantize = to_text(session.config.model.quantize),
          .kernels = session.config.run.kernels,
          .parameters = base_parameters(sizes),
          .devices = devices,
          .trials = options.trials,
          .shortest = options.shortest,
          .longest = options.longest,
          .batch = options.batch,
          .tokens_per_pass = session.tokens_per_pass,
          .ranks = options.ranks,
          .flops_per_token = flops_per_token(sizes, row, options.ranks.front(), session.config.train.full()),
          .product_rate = products_of(session),
          .goal = session.config.train.full() ? std::nullopt : goal_of(sizes),
          .is_goal_device = !device.is_cpu() && name_of_device(device).find("H200") != std::string::npos};
}

}  // namespace

BenchReport run_bench(BenchOptions options, const std::function<void(const std::string&)>& say) {
  const std::string name = options.shape.empty() ? options.config.model.path : options.shape;
  std::vector<std::string> notes;
  Session session;
  session.say = say;
  session.model = open_for_bench(options, notes, say);
  choose_sizes(options, session.model);
  session.config = options.config;
  if (!options.shape.empty()) session.model.checkpoint.options = sizes_of(options);
  if (options.longest > session.model.checkpoint.options.max_positions)
    throw bad_input("", fmt::format("--length {}: {} has {} positions", options.longest, name,
                                    session.model.checkpoint.options.max_positions));
  add_rows(session, options);
  session.tokens_per_pass = tokens_of_pass(session, case_of(session));
  require_memory(session, options, name);
  say("loading " + name);
  fill(session.model, options, notes, say);
  session.config = options.config;
  settle_threads(session);
  note_load(session, notes);
  say("measuring the products of the device");
  BenchReport report = describe(session, options, name);
  say(fmt::format("training one trial by itself, for {} and one step", duration_text(options.seconds)));
  report.alone = alone_speed(session, options);
  settle_lanes(session, options.trials, kMeasuringSeconds);
  report.product_rate = std::max(report.product_rate, products_of(session));
  report.lanes = std::ssize(session.model.devices);
  say(fmt::format("training {} trials side by side, for {} and one step", options.trials,
                  duration_text(options.seconds)));
  report.packed = packed_speed(session, options, report.captures);
  report.notes = std::move(notes);
  std::ranges::copy(session.notes, std::back_inserter(report.notes));
  return report;
}

}  // namespace finetune
