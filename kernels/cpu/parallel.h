// Work over independent items, spread by whoever called the kernel (Stream::parallel).
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cpu {

inline constexpr Status kFloat32Only{"the kernels for a CPU are float32 only"};

/// Rows of one work item: fills a core for some microseconds, stays in its cache.
inline constexpr std::int64_t kRowBlock = 64;

/// work(begin, end) over parts of [0, items). So many items go to a thread at once that waking it is worth while: some
/// ten microseconds of work at a few operations a nanosecond.
template <typename Work>
void in_parallel(Stream stream, std::int64_t items, std::int64_t operations_per_item, const Work& work) {
  if (items <= 0) return;
  if (stream.parallel == nullptr) return work(0, items);
  const std::int64_t grain = std::max<std::int64_t>(1, 200'000 / std::max<std::int64_t>(1, operations_per_item));
  stream.parallel(
      items, grain,
      [](const void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<const Work*>(context))(begin, end);
      },
      &work);
}

/// work(begin, end) for blocks of kRowBlock rows or fewer: the same blocks whatever the number of threads.
template <typename Work>
void in_row_blocks(Stream stream, std::int64_t rows, std::int64_t operations_per_row, const Work& work) {
  in_parallel(stream, (rows + kRowBlock - 1) / kRowBlock, kRowBlock * operations_per_row,
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t block = first; block < last; ++block)
                  work(block * kRowBlock, std::min(rows, (block + 1) * kRowBlock));
              });
}

}  // namespace finetune::kernels::cpu
