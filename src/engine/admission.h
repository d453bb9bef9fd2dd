// How many trials a session holds side by side, and how many tokens a pass: what its devices' free memory allows.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/memory.h"
#include "engine/session.h"

namespace finetune {

/// What memory depends on besides slots: as the session is, or as it might be.
struct MemoryCase {
  at::ScalarType dtype = at::kFloat;
  Quantization quantization;
  bool full = false;
  std::int64_t tokens_per_pass = 0;
  std::int64_t longest = 0;         ///< tokens that examples are cut to; 0: they are as they are
  std::vector<at::Device> devices;  ///< empty: the session's
};
MemoryCase case_of(const Session& session);

/// What a device needs for `slots` slots of the run.
MemoryEstimate session_memory(const Session& session, std::int64_t slots, at::Device device);

/// What a number of slots, spread evenly over the lanes, needs of one memory: the processor's or a GPU's.
struct MemoryNeed {
  MemoryShare share;
  std::int64_t slots = 0;  ///< of all its lanes
  MemoryEstimate estimate;
  std::int64_t to_come = 0, usable = 0;  ///< bytes still to be taken, and how many of the free ones may be
  bool fits() const { return to_come <= usable; }
};
/// One entry a memory, in the order of the devices.
std::vector<MemoryNeed> memory_needs(const Session& session, std::int64_t slots);
std::vector<MemoryNeed> memory_needs(const Session& session, std::int64_t slots, const MemoryCase& one);

/// Trials side by side where memory allows: tune.concurrent or a rule of thumb, at most tune.trials.
std::int64_t wanted_trials(const RunConfig& config);
std::int64_t wanted_trials(const RunConfig& config, bool full);

/// How many trials to keep resident: wanted_trials, and no more than the free memory of every device holds beside the
/// default run (a tune.concurrent that is lowered is said in session.notes).
std::int64_t resident_trials(Session& session);

/// Of the longest example, which a pass must hold; without data of as long a one as there may be.
std::int64_t tokens_of_longest(const Session& session);
std::int64_t tokens_of_longest(const Session& session, const MemoryCase& one);

/// Tokens of a pass: run.tokens_per_pass, or what is chosen where it does not say.
std::int64_t tokens_of_pass(const Session& session, const MemoryCase& one);
/// What is chosen: as many as the devices' memory allows, up to what fills them; one size for all, so that a trial's
/// numbers do not depend on where it runs.
std::int64_t choose_tokens_per_pass(const Session& session, const MemoryCase& one);

}  // namespace finetune
