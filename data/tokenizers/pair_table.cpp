#include "data/tokenizers/pair_table.h"

#include <utility>

namespace finetune {

void PairTable::set(std::int32_t a, std::int32_t b, std::int32_t value) {
  if (2 * (used_ + 1) > slots_.size()) {
    const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
    used_ = 0;
    for (const Slot& slot : before) {
      if (slot.value >= 0) set(slot.a, slot.b, slot.value);
    }
  }
  std::size_t i = home(a, b);
  while (slots_[i].value >= 0 && (slots_[i].a != a || slots_[i].b != b)) i = (i + 1) & (slots_.size() - 1);
  if (slots_[i].value < 0) ++used_;
  slots_[i] = {a, b, value};
}

}  // namespace finetune
