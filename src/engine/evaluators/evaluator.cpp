#include "engine/evaluators/evaluator.h"

#include "core/error.h"

namespace finetune {

void check_interrupt(const EvaluatedPack& pack) {
  if (pack.interrupted && pack.interrupted()) throw Interrupted();
}

// A processor computes at full rate from some 16 sequences on; a GPU wants hundreds.
std::int64_t evaluation_cache_bytes(at::Device device) {
  return device.is_cpu() ? std::int64_t{512} << 20 : std::int64_t{4} << 30;
}

}  // namespace finetune
