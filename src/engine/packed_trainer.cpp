#include "engine/packed_trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/add_seconds.h"
#include "core/error.h"
#include "engine/out_of_memory.h"
#include "engine/schedule.h"
#include "engine/slot_trial.h"
#include "kernels/torch/threads.h"
#include "models/adapter_bank.h"
#include "models/peft.h"

namespace finetune {
namespace {

// Which rows belong to whom is the host's knowledge where they are weighed together or have modules of their own.
bool captures(ParameterStore& store, const TrainerOptions& options) {
  const AdapterBank* bank = store.trainables(0).bank;
  return options.graphs && !options.objective->reads_sequences() && (bank == nullptr || bank->saved().empty());
}

RoundOptions round_options(ParameterStore& store, const TrainerOptions& options) {
  return {.tokens_per_pass = options.tokens_per_pass,
          .fewest_rows = ops::fewest_product_rows(store.params_SP().device()),
          .model = pack_model(store.base(0).options),
          .shuffle = options.shuffle,
          .together = store.packs_together(),
          .buckets = captures(store, options),
          .groups = static_cast<std::size_t>(store.packs_together() ? store.slots() : 1),
          .parts = options.parts};
}

PassOptions pass_options(ParameterStore& store, const PackShape& largest, const TrainerOptions& options) {
  PassOptions pass{.graphs = captures(store, options), .largest = largest, .objective = options.objective};
  if (const AdapterBank* bank = store.trainables(0).bank) {
    pass.rank = bank->rank();
    pass.projections = bank->targets().bits();
  }
  return pass;
}

}  // namespace

PackedTrainer::PackedTrainer(ParameterStore& store, const Examples& train, Batch valid, const TrainerOptions& options)
    : store_(store),
      valid_(std::move(valid)),
      options_(options),
      device_(store.params_SP().device()),
      reproducible_(options.reproducible && !device_.is_cpu() ? std::make_unique<const ops::ReproducibleSums>()
                                                              : nullptr),
      profile_(options.profile ? std::make_unique<ops::Profile>() : nullptr),
      planner_(train, round_options(store, options)),
      longest_(std::max<std::int64_t>(1, train.longest())),
      runner_(device_, pass_options(store, largest_pass(options.tokens_per_pass), options)),
      ring_(device_) {
  if (!options_.memory.turns) options_.memory.turns = std::make_shared<MemoryTurns>();
  if (!options_.memory.images) options_.memory.images = std::make_shared<DeviceImages>();
  lane_ = options_.memory.turns->join([this] { give_buffers_back(); });
  for (std::int64_t slot = store_.slots(); slot > 0; --slot) free_.push_back(slot - 1);
}

PackedTrainer::Resident& PackedTrainer::find(TrialId trial) {
  return residents_.at(trial);
}
const PackedTrainer::Resident& PackedTrainer::find(TrialId trial) const {
  return residents_.at(trial);
}
std::vector<PackedTrainer::Resident*> PackedTrainer::find_all(std::span<const TrialId> ids) {
  std::vector<Resident*> trials;
  for (const TrialId id : ids) trials.push_back(&find(id));
  return trials;
}

PackedTrainer::Resident& PackedTrainer::place(TrialId id, const TrainConfig& config, PackTrial packed) {
  if (free_.empty()) throw failed(device_.str(), "no slot is free for trial " + std::to_string(id.value));
  packed.slot = free_.back();
  Resident trial{.id = id, .packed = packed};
  configure(trial, config);
  free_.pop_back();
  return residents_.emplace(id, std::move(trial)).first->second;
}

void PackedTrainer::configure(Resident& trial, const TrainConfig& config) {
  store_.configure(trial.packed.slot, config);
  trial.config = config;
  trial.slot = store_.slot_options(config);
  set_from_config(trial.packed, config, trial.slot);
}

std::vector<PackTrial> PackedTrainer::packed_of(std::span<Resident* const> trials) {
  std::vector<PackTrial> packed;
  for (const Resident* trial : trials) packed.push_back(trial->packed);
  return packed;
}

std::vector<PackTrial> PackedTrainer::undisturbed(std::span<Resident* const> trials) {
  std::vector<PackTrial> packed = packed_of(trials);
  for (PackTrial& trial : packed) trial.dropout = trial.neftune = 0;
  return packed;
}

void PackedTrainer::share(std::size_t lanes) {
  if (!device_.is_cpu() || options_.threads == 0) return;
  set_thread_count(std::max(1, options_.threads / static_cast<int>(lanes)));
  planner_.set_fewest_rows(ops::fewest_product_rows(device_));
}

void PackedTrainer::check_interrupt() const {
  if (options_.interrupted && options_.interrupted()) throw Interrupted();
}

void PackedTrainer::admit(TrialId trial, const TrainConfig& config) {
  const PackTrial begun{
      .batch_size = config.batch_size, .order_seed = static_cast<std::uint64_t>(config.seed), .shares = config.shares};
  const std::int64_t slot = place(trial, config, begun).packed.slot;
  try {
    if (!with_buffers_back([&] { store_.initialize(slot, config); }))
      throw bad_input(device_.str(), "out of memory for its weights");
  } catch (...) {
    release(trial);
    throw;
  }
}

void PackedTrainer::release(TrialId trial) {
  free_.push_back(find(trial).packed.slot);
  residents_.erase(trial);
}

std::vector<StepResult> PackedTrainer::step(std::span<const TrialId> ids) {
  submit(ids);
  return collect();
}

void PackedTrainer::submit(std::span<const TrialId> ids) {
  const AddSeconds timer(step_seconds_);
  const ops::UseKernels kernels(options_.kernels);
  const ops::UseProfile profiled(profile_.get());
  if (profile_) ++profile_->steps;
  MemoryTurns::Turn turn = begin_turn();
  const std::int64_t tokens_before = tokens_per_pass();
  const std::vector<Resident*> asked = find_all(ids);
  std::vector<Resident*> trials = asked;
  std::erase_if(trials, [](const Resident* trial) { return !trial->failure.empty(); });
  at::Tensor results_2N;
  const RoundPlan plan = forward_backward(trials, results_2N, turn);
  if (!trials.empty()) {
    const at::Tensor losses_N = results_2N.select(0, 0);
    at::Tensor norms_N = results_2N.select(0, 1);
    with_memory([&] { gradient_norms(trials, norms_N); }, [this] { make_room("gradient norms"); });
    update(trials, norms_N, losses_N);
    with_memory([&] { ring_.push(results_2N); }, [this] { make_room("results"); });
  }
  say_if_fewer(tokens_before);
  note_submitted(asked, plan);
  if (options_.ahead) planner_.prepare(packed_of(trials));
}

double PackedTrainer::divisor_of(const Batch& batch) const {
  return static_cast<double>(options_.objective->by_example() ? std::ssize(batch.examples) : batch.loss_tokens);
}

void PackedTrainer::note_submitted(std::span<Resident* const> asked, const RoundPlan& plan) {
  Submitted& submitted = submitted_.emplace_back();
  for (Resident* trial : asked) {
    const std::int64_t step = trial->packed.step;
    StepResult& result = submitted.results.emplace_back(
        StepResult{.trial = trial->id, .step = step, .learning_rate = learning_rate_at(trial->config, step)});
    if (!trial->failure.empty()) {
      result.failure = trial->failure;
      continue;
    }
    const Batch& batch = plan.batches[submitted.divisors.size()];
    result.tokens = batch.tokens;
    submitted.divisors.push_back(divisor_of(batch));
    ++trial->packed.step;
  }
}

std::vector<double> PackedTrainer::results() {
  const ops::UseProfile profiled(profile_.get());
  const ops::Timed timed(ops::Part::results);
  return ring_.pop();
}

std::vector<StepResult> PackedTrainer::collect() {
  const AddSeconds timer(step_seconds_);
  Submitted submitted = std::move(submitted_.front());
  submitted_.pop_front();
  const std::size_t count = submitted.divisors.size();
  const std::vector<double> values = count > 0 ? results() : std::vector<double>();
  std::size_t i = 0;
  for (StepResult& result : submitted.results) {
    const bool stepped = result.failure.empty();
    result.train_loss = stepped ? values[i] / submitted.divisors[i] : std::nan("");
    result.gradient_norm = stepped ? values[count + i] : std::nan("");
    result.finite = std::isfinite(result.train_loss) && std::isfinite(result.gradient_norm);
    if (stepped) ++i;
  }
  return std::move(submitted.results);
}

void PackedTrainer::run_passes(std::span<Resident* const> trials, RoundPlan& plan, at::Tensor& losses_N) {
  const std::vector<double> divergences = round_divergences(trials, plan.batches);
  for (RoundPass& pass : plan.passes) {
    check_interrupt();
    set_divergences(pass.pass, std::span(divergences).subspan(pass.first_trial), pass.data);
    under_way_ = {pass.first_trial, pass.pass.tokens};
    const std::int64_t slot = trials[pass.first_trial]->packed.slot;
    const std::vector<Figure> figures =
        runner_.train(store_.base(slot), store_.trainables(slot), store_.packs_together() ? 0 : slot, pass.data);
    ops::row_sums(figures.front().values_N, row_ranges(pass.pass, pass.data, pass.first_trial), losses_N);
  }
}

void PackedTrainer::gradient_norms(std::span<Resident* const> trials, at::Tensor& norms_N) {
  std::vector<NormKey> key;
  for (const Resident* trial : trials) key.push_back({trial->packed.slot, trial->slot});
  if (key != norm_key_) {
    std::vector<ops::SlotPieces> slots;
    for (const Resident* trial : trials)
      slots.push_back({.slot = trial->packed.slot, .pieces = store_.pieces(trial->config)});
    norm_plan_ = ops::make_norm_plan(std::move(slots), device_);
    norm_key_ = std::move(key);
  }
  ops::gradient_norms(store_.grads_SP(), norm_plan_, norms_N);
}

void PackedTrainer::update(std::span<Resident* const> trials, const at::Tensor& norms_N, const at::Tensor& losses_N) {
  std::vector<ops::SlotUpdate> updates;
  for (const Resident* trial : trials) {
    const TrainConfig& c = trial->config;
    updates.push_back({.slot = trial->packed.slot,
                       .learning_rate = learning_rate_at(c, trial->packed.step),
                       .beta1 = c.beta1,
                       .beta2 = c.beta2,
                       .epsilon = c.epsilon,
                       .weight_decay = c.weight_decay,
                       .max_norm = c.max_grad_norm,
                       .decayed = store_.decayed(c)});
  }
  ops::UpdateProgress done;  // a try that ended for want of memory is gone on with, not begun again
  with_memory([&] { ops::adamw(store_.optimizer_state(), updates, norms_N, losses_N, done); },
              [this] { make_room("an update"); });
  for (const Resident* trial : trials) store_.updated(trial->packed.slot);
}

void PackedTrainer::change(TrialId trial, const TrainConfig& config) {
  Resident& resident = find(trial);
  configure(resident, config);
  store_.updated(resident.packed.slot);
}

void PackedTrainer::copy(TrialId from, TrialId to, const TrainConfig& config) {
  const Resident& donor = find(from);
  Resident& trial = find(to);
  configure(trial, config);
  store_.copy(donor.packed.slot, trial.packed.slot);
}

std::shared_ptr<const TrialImage> PackedTrainer::capture(TrialId trial) const {
  const Resident& resident = find(trial);
  SlotImage slot;
  if (!with_buffers_back([&] { slot = store_.capture(resident.packed.slot); })) return nullptr;
  auto image = std::make_shared<const TorchImage>(std::move(slot), resident.packed);
  if (!device_.is_cpu()) options_.memory.images->add(image);
  return image;
}

void PackedTrainer::restore(TrialId trial, const TrainConfig& config, const TrialImage& image) {
  const auto& torch_image = dynamic_cast<const TorchImage&>(image);
  const std::int64_t slot = place(trial, config, torch_image.trial()).packed.slot;
  try {
    if (!with_buffers_back([&] { store_.restore(slot, torch_image.slot()); }))
      throw bad_input(device_.str(), "out of memory for its weights");
  } catch (...) {
    release(trial);
    throw;
  }
}

void PackedTrainer::copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) {
  Resident& trial = find(to);
  store_.restore(trial.packed.slot, dynamic_cast<const TorchImage&>(image).slot());
  configure(trial, config);
}

}  // namespace finetune
