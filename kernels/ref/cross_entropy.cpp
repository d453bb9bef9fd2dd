#include "kernels/api/cross_entropy.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {

Status cross_entropy(const CrossEntropy& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const auto x = [&](std::int64_t v) { return read(args.type, args.logits, r * args.logits_row + v); };
    std::int64_t best = 0;
    for (std::int64_t v = 1; v < args.vocabulary; ++v) best = x(v) > x(best) ? v : best;
    const double largest = x(best), target = x(args.targets[r]);
    double sum = 0;
    for (std::int64_t v = 0; v < args.vocabulary; ++v) sum += std::exp(x(v) - largest);
    const double log_sum = largest + std::log(sum);
    args.nll[r] = static_cast<float>(log_sum - target);
    args.correct[r] = best == args.targets[r];
    if (args.dlogits == nullptr) continue;
    for (std::int64_t v = 0; v < args.vocabulary; ++v) {
      const double onehot = v == args.targets[r] ? 1 : 0;
      write(args.type, args.dlogits, r * args.dlogits_row + v, (std::exp(x(v) - log_sum) - onehot) * args.scale[r]);
    }
  }
  return {};
}

Status row_sums(const RowSums& args, Stream) {
  for (std::int64_t i = 0; i < args.range_count; ++i) {
    const RowRange& range = args.ranges[i];
    double sum = 0;
    for (std::int64_t r = range.begin; r < range.end; ++r) sum += static_cast<double>(args.values[r]);
    args.sums[range.to] += sum;
  }
  return {};
}

}  // namespace finetune::kernels::ref
