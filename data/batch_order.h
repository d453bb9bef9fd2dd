// Which examples make up the batch of a step.
#pragma once

#include <cstdint>
#include <vector>

namespace finetune {

/// Without shuffle file order; with it a permutation per epoch keyed on (seed, epoch). A batch runs over the epoch's
/// end.
///
/// With shares examples are drawn from several parts: each draw is of the part that is furthest behind its share, so
/// any run of draws has the proportion to within one example of each part, and each part goes through its own examples
/// in its own epochs.
class BatchOrder {
 public:
  /// Throws Error (bad_input) where there are more than 2^32 examples.
  BatchOrder(std::int64_t examples, std::int64_t batch_size, bool shuffle, std::uint64_t seed);
  /// `sizes`: examples of each part, which lie one part behind the other; none is 0. `shares`: as many, above 0, of sum
  /// 1; other than as many: one part of all examples.
  BatchOrder(const std::vector<std::int64_t>& sizes, const std::vector<double>& shares, std::int64_t batch_size,
             bool shuffle, std::uint64_t seed);

  /// Indices of the batch of `step` (1-based). A pure function of the step, so it may be asked in any order; what came
  /// last is kept (permutations, and of several parts the draws so far), so it is fast in order.
  std::vector<std::int64_t> batch(std::int64_t step);

 private:
  struct Part {
    std::int64_t first = 0, size = 0;
    double share = 1;
    std::int64_t drawn = 0;  // before position_
    std::int64_t cached_epoch = -1;
    std::vector<std::uint32_t> cached;
  };
  void seek(std::int64_t position);
  Part& next_part();
  std::int64_t draw(Part& part);

  std::vector<Part> parts_;
  std::int64_t batch_size_;
  bool shuffle_;
  std::uint64_t seed_;
  std::int64_t position_ = 0;  // draws before the next one
};

}  // namespace finetune
