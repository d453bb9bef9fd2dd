#include "host/serve/serve_setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "engine/admission.h"
#include "engine/devices.h"
#include "engine/starts.h"

namespace finetune {
namespace {

bool fit(const Session& session, std::int64_t slots) {
  return std::ranges::all_of(memory_needs(session, slots), &MemoryNeed::fits);
}

}  // namespace

Session open_to_serve(RunConfig config, std::int64_t slots) {
  if (config.train.full())
    throw bad_input("", "train.method: full has no meaning to serve, whose slots are adapters over one base");
  if (config.train.objective != ObjectiveName::sft)
    throw bad_input("", "train.objective has no meaning to serve: each request names its loss");
  if (config.model.adapter)
    throw bad_input("", "model.adapter has no meaning to serve: a slot is opened with an adapter of its own");
  if (!config.search.empty()) throw bad_input("", "search has no meaning to serve: nothing is tuned");
  if (config.run.devices.size() > 1)
    throw bad_input("", "serve computes on one device; name one in run.devices, and start a service for each");
  config.data.train.clear();  // of a run whose configuration this is
  config.data.valid.clear();
  config.data.valid_fraction = 0;
  config.data.valid_fraction_given = true;
  config.data.test.clear();
  config.tune = TuneConfig();
  config.tune.trials = slots > 0 ? slots : kUsualSlots;
  config.tune.concurrent = config.tune.trials;
  config.run.lanes = 1;
  config.run.save_every = 0;
  std::vector<std::string> notes;
  if (config.run.devices.empty()) {
    if (auto note = note_missing_gpus(config.run.devices)) notes.push_back(std::move(*note));
    config.run.devices = {resolve_devices({}).front().str()};
  }
  Session session = open_session(std::move(config), {.trains = false, .holds_out = false});
  session.notes.insert(session.notes.begin(), notes.begin(), notes.end());
  compute_starts(session);
  return session;
}

std::int64_t slots_to_serve(const Session& session, std::int64_t slots) {
  const std::int64_t wanted = slots > 0 ? slots : kUsualSlots;
  const std::int64_t held = slots_that_fit(wanted, [&](std::int64_t count) { return fit(session, count); });
  if (slots == 0 || held == wanted) return held;
  const MemoryNeed need = memory_needs(session, wanted).front();
  throw bad_input("", fmt::format("--slots {}: they need {} MiB on {}, which has {} MiB to give; {} fit; a lower "
                                  "train.lora.rank, shorter data.max_length or a lower run.tokens_per_pass make room",
                                  wanted, need.to_come >> 20, need.share.device.str(), need.usable >> 20, held));
}

}  // namespace finetune
