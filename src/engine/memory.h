// How much memory a run needs: arithmetic on sizes, checked against measurement by tests/cli/test_memory.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "models/decoder_tensors.h"
#include "models/quantization.h"
#include "models/saved_modules.h"

namespace finetune {

/// What the estimate depends on.
struct MemoryPlan {
  std::int64_t slots = 1;
  std::int64_t rank = 16;  ///< computed rank
  ProjectionSet targets;
  bool magnitudes = false;     ///< some trial is DoRA
  std::int64_t principal = 0;  ///< rank of the principal parts kept for trials that begin as PiSSA; 0: there are none
  SavedModules saved;          ///< of which some trial has a copy
  bool full = false;           ///< full fine-tuning
  std::int64_t element_bytes = 4;     ///< of base weights
  std::int64_t activation_bytes = 4;  ///< of an element; more than element_bytes: products round their operands
  Quantization quantization;          ///< of the base's projections
  std::int64_t tokens_per_pass = 4096;
  std::int64_t loss_rows_per_pass = 4096;
  std::int64_t logits_per_chunk = 2'000'000;  ///< ops::logits_per_chunk of the device
  bool composed = false;                      ///< operations are compositions of LibTorch's, with their temporaries
  std::int64_t lanes = 1;                     ///< that share this memory, each with buffers for a pass
  std::int64_t images = 2;                    ///< states kept off the slots: best ones, paused ones, those being saved
  std::int64_t cache = 0;                     ///< of a lane: keys and values of an evaluation
  std::int64_t program = 0;                   ///< resident bytes of the process without the base, before any slot
};

struct MemoryEstimate {
  std::int64_t base = 0;
  std::int64_t slots = 0;  ///< with what all of them share: principal parts
  std::int64_t images = 0, activations = 0, caches = 0;
  std::int64_t program = 0;  ///< libraries, tokenizer, buffers that do not grow with the plan
  std::int64_t total() const { return base + slots + images + activations + caches + program; }
  /// What a device still has to give once the base is on it. `host`: it is the machine's own memory, where the images
  /// of trials have to lie; those on a GPU leave it when its memory ends.
  std::int64_t to_come(bool host) const { return slots + activations + caches + (host ? images : 0); }
};

std::int64_t adapter_parameters(const DecoderOptions& model, std::int64_t rank, ProjectionSet targets);
/// Bytes of activations that one token keeps until its backward pass, plus the shared buffers of a pass.
std::int64_t activation_bytes_per_token(const DecoderOptions& model, const MemoryPlan& plan);

/// Tensors and rotary tables.
std::int64_t loaded_bytes(const DecoderOptions& model, const Quantization& quantization, std::int64_t element_bytes);

/// Bytes of this process that are in memory now.
std::int64_t resident_bytes();

MemoryEstimate estimate_memory(const DecoderOptions& model, const MemoryPlan& plan);

/// The most slots, from 1 to `wanted`, for which `fits` holds, which does for fewer where it does for more; 1 is always
/// tried.
std::int64_t slots_that_fit(std::int64_t wanted, const std::function<bool(std::int64_t)>& fits);

/// Tokens per pass that `available` bytes allow beside plan.slots, the base being there already; between 512 and
/// `wanted`.
std::int64_t fit_tokens_per_pass(const DecoderOptions& model, MemoryPlan plan, std::int64_t available,
                                 std::int64_t wanted);

}  // namespace finetune
