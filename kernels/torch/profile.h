// Where the time of a lane goes: a clock around each part of a step, with the arithmetic and the memory that the part
// needs by its shapes. Off unless a thread says so (UseProfile): then a part costs one branch more.
//
// On a GPU, where calls return before the work is done, times are those of the thread that gives it the work.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "kernels/torch/work.h"

namespace finetune::ops {

/// What is told apart. Parts that run in both directions are told apart by Phase too.
enum class Part : std::uint8_t {
  base,      ///< products with the base's weights, and gradients of weights that are trained
  adapters,  ///< with dropout and magnitudes
  attention,
  norms,
  rotary,
  glu,
  residual,  ///< copies and sums of the residual stream
  embeddings,
  unpacking,  ///< numbers of a quantised base
  head,       ///< the last norm, logits and losses, forward and backward
  planning,   ///< which examples stand in which pass
  packing,    ///< a pass's arrays become tensors
  gradient_norms,
  optimizer,
  results,    ///< losses and norms come back, from a GPU with the wait for them
  evaluation  ///< all that is measured on validation and test data
};
inline constexpr std::size_t kParts = static_cast<std::size_t>(Part::evaluation) + 1;

enum class Phase : std::uint8_t { forward, backward };

struct PartTotal {
  std::int64_t calls = 0;
  double seconds = 0;
  Work work;
};

/// What one thread measured. Plain values; to be read when it is not at work.
struct Profile {
  using Clock = std::chrono::steady_clock;

  std::array<std::array<PartTotal, 2>, kParts> parts;  ///< by Part, by Phase
  std::int64_t steps = 0;                              ///< optimizer steps of all trials of the lane at once
  double busy = 0;                                     ///< seconds in which it was in use
  Clock::time_point first, last;                       ///< of its use; equal: never used

  const PartTotal& of(Part part, Phase phase) const {
    return parts[static_cast<std::size_t>(part)][static_cast<std::size_t>(phase)];
  }

  PartTotal* under_way = nullptr;  ///< what the clock runs for
  Phase phase = Phase::forward;
};

/// While one lives, parts that this thread runs are added to `profile`, which may be null: then nothing is measured.
class UseProfile {
 public:
  explicit UseProfile(Profile* profile);
  ~UseProfile();
  UseProfile(const UseProfile&) = delete;
  UseProfile& operator=(const UseProfile&) = delete;

 private:
  Profile* before_;
  Profile* profile_;
  Profile::Clock::time_point started_;
};

/// The profile of this thread; null: none.
Profile* profile_in_use();

/// What parts do from here on is backward; forward again when it goes.
class InBackward {
 public:
  InBackward();
  ~InBackward();
  InBackward(const InBackward&) = delete;
  InBackward& operator=(const InBackward&) = delete;
};

/// Around the code of a part. One inside another adds its work to the outer one, whose time it is.
class Timed {
 public:
  explicit Timed(Part part) : Timed(part, [] { return Work{}; }) {}
  /// work_of(): what is done, asked only where it is measured.
  template <typename WorkOf>
  Timed(Part part, const WorkOf& work_of) {
    if (Profile* profile = profile_in_use()) begin(*profile, part, work_of());
  }
  ~Timed() {
    if (profile_ != nullptr) end();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  void begin(Profile& profile, Part part, const Work& work);
  void end();

  Profile* profile_ = nullptr;
  Profile::Clock::time_point started_;
};

}  // namespace finetune::ops
