// The lanes of a session: a store and a trainer for each, sized for every configuration that its search space holds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/packed_trainer.h"
#include "engine/session.h"

namespace finetune {

/// A lane's trainer and the store behind it.
struct LaneParts {
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<PackedTrainer> trainer;
};

/// What to ask make_lanes for where a study has `slots` trials side by side: on several devices half as many more,
/// where they have the memory, so that trials can move to a faster one (engine/placement.h).
std::int64_t slots_for_moves(const Session& session, std::int64_t slots);

/// One per entry of session.model.devices, `slots` in all (spread evenly). The session must outlive them.
std::vector<LaneParts> make_lanes(const Session& session, std::int64_t slots);

/// The parts of one lane, on session.model.bases[lane]; what `valid` views must outlive the trainer.
/// `parts`: TrainerOptions::parts of `train`.
std::unique_ptr<ParameterStore> make_store(const Session& session, std::size_t lane, std::int64_t slots);
std::unique_ptr<PackedTrainer> make_trainer(const Session& session, ParameterStore& store, const Examples& train,
                                            const Examples& valid, SharedMemory memory = {},
                                            std::vector<std::int64_t> parts = {});

/// Lets every device have `count` lanes: they share its base.
void multiply_lanes(OpenedModel& model, std::int64_t count);

}  // namespace finetune
