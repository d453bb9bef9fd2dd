// Which requests run next: of those that have arrived, the oldest, and every other of its kind that need not wait, as
// one pack. A pure function of the order in which they came; torch-free.
//
// A request waits for those that came before it and speak of its slot; one of the base, for those of the same client
// about the base. One that speaks of neither (open, slots) waits for all of its client, and that client's later ones
// for it; shutdown waits for everybody. The oldest never waits, so nobody starves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "host/serve/request.h"

namespace finetune {

struct WaitingRequest {
  std::uint64_t client = 0;
  ServeVerb verb = ServeVerb::slots;
  std::optional<std::int64_t> slot;
};

/// Indices, ascending, of those to be carried out together; empty only where nobody waits.
std::vector<std::size_t> next_pack(std::span<const WaitingRequest> waiting);

}  // namespace finetune
