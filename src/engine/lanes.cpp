#include "engine/lanes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "config/lora_rules.h"
#include "config/metric_rules.h"
#include "data/dataset.h"
#include "engine/admission.h"
#include "engine/placement.h"
#include "engine/reference.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/graph.h"

namespace finetune {

std::unique_ptr<ParameterStore> make_store(const Session& session, std::size_t lane, std::int64_t slots) {
  const DecoderBase& base = session.model.bases[lane];
  StoreOptions options = store_options(session, slots);
  if (!session.model.principal.empty()) options.principal = session.model.principal[lane];
  if (session.config.train.full()) return make_full_store(base, options);
  return make_lora_store(base, options, session.model.adapter ? &session.model.adapter->tensors : nullptr);
}

// Capped scores are composed on a GPU, which reads on the host where segments begin; so are magnitudes, by trial.
static bool captures_passes(const Session& session, at::Device device) {
  const OpenedModel& model = session.model;
  const DecoderOptions& options = model.checkpoint.options;
  return !device.is_cpu() && model.kernels.graphs() && !some_trial_is_dora(session.config) &&
         options.attention_softcap == 0 && ops::graphs_problem(device) == nullptr &&
         ops::can_capture(device, model.checkpoint.dtype, options.head_dim, model.kernels);
}

static std::shared_ptr<const ReferenceModel> reference_on(const Session& session, at::Device device) {
  const auto base = std::ranges::find_if(session.model.bases,
                                         [&](const DecoderBase& one) { return one.embed_VD.device() == device; });
  return std::make_shared<const ReferenceModel>(*base, session.model.adapter ? &*session.model.adapter : nullptr);
}

std::unique_ptr<PackedTrainer> make_trainer(const Session& session, ParameterStore& store, const Examples& train,
                                            const Examples& valid, SharedMemory memory,
                                            std::vector<std::int64_t> parts) {
  const at::Device device = store.params_SP().device();
  const Objective& objective = objective_named(to_text(session.config.train.objective));
  return std::make_unique<PackedTrainer>(
      store, train, valid,
      TrainerOptions{.tokens_per_pass = session.tokens_per_pass,
                     .objective = &objective,
                     .reference = objective.needs_divergence() ? reference_on(session, device) : nullptr,
                     .max_length = session.config.data.max_length,
                     .shuffle = session.config.data.shuffle,
                     .ahead = !device.is_cpu(),  // on the processor it would take threads from the products
                     .graphs = captures_passes(session, device),
                     .reproducible = session.config.run.numerics == "reproducible",
                     .kernels = session.model.kernels,
                     .parts = std::move(parts),
                     .profile = session.config.run.profile,
                     .threads = session.threads,
                     .memory = std::move(memory),
                     .interrupted = session.interrupted,
                     .say = session.say});
}

std::int64_t slots_for_moves(const Session& session, std::int64_t slots) {
  const std::vector<at::Device>& devices = session.model.devices;
  if (std::ranges::all_of(devices, [&](at::Device device) { return device == devices.front(); })) return slots;
  const std::int64_t roomy = roomy_share(slots, std::ssize(devices)) * std::ssize(devices);
  return std::ranges::all_of(memory_needs(session, roomy), &MemoryNeed::fits) ? roomy : slots;
}

std::vector<LaneParts> make_lanes(const Session& session, std::int64_t slots) {
  std::vector<LaneParts> lanes;
  std::map<std::string, SharedMemory> memories;  // of each device
  const auto count = static_cast<std::int64_t>(session.model.devices.size());
  for (std::size_t lane = 0; lane < session.model.devices.size(); ++lane) {
    LaneParts parts;
    parts.store = make_store(session, lane, (slots + count - 1) / count);
    const std::string device = session.model.devices[lane].str();
    SharedMemory& own = memories[device];
    if (!own.turns) {
      own.images = std::make_shared<DeviceImages>();
      own.turns = std::make_shared<MemoryTurns>([&session, device] {
        session.say(device + ": out of memory; lanes take turns from here on (the same numbers, slower); run.lanes=1 " +
                    "spares the try");
      });
    }
    parts.trainer = make_trainer(session, *parts.store, session.data.train.examples, session.data.valid.examples, own,
                                 part_sizes(session.data.train));
    parts.trainer->measure_parts(part_names(session.data.valid));
    parts.trainer->measure(session.evaluators, {session.data.test.examples, session.test_evaluators},
                           wanted_metrics(session.config).front());
    lanes.push_back(std::move(parts));
  }
  return lanes;
}

void multiply_lanes(OpenedModel& model, std::int64_t count) {
  std::vector<at::Device> devices;
  std::vector<DecoderBase> bases;
  for (std::size_t lane = 0; lane < model.devices.size(); ++lane) {
    devices.insert(devices.end(), static_cast<std::size_t>(count), model.devices[lane]);
    if (!model.sizes_only)  // the tensors are shared
      bases.insert(bases.end(), static_cast<std::size_t>(count), model.bases[lane]);
  }
  model.devices = std::move(devices);
  model.bases = std::move(bases);
}

}  // namespace finetune
