#include "kernels/torch/work.h"

#include <algorithm>

namespace finetune::ops {
namespace {

double real(std::int64_t n) {
  return static_cast<double>(n);
}

// Pairs of a query and a key that it sees.
double pairs(const AttentionShape& shape) {
  double all = 0;
  for (std::size_t i = 1; i < shape.bounds.size(); ++i) {
    const double tokens = shape.bounds[i] - shape.bounds[i - 1];
    const double seen = shape.window > 0 ? std::min(tokens, real(shape.window)) : tokens;
    all += seen * (seen + 1) / 2 + (tokens - seen) * seen;
  }
  return all;
}

// `of_queries` arrays of the queries' shape and `of_keys` of the keys', once each.
double attention_bytes(const AttentionShape& shape, double of_queries, double of_keys) {
  const double tokens = shape.bounds.empty() ? 0 : shape.bounds.back() - shape.bounds.front();
  return real(shape.size) * tokens * real(shape.dim) *
         (of_queries * real(shape.heads) + of_keys * real(shape.kv_heads));
}

}  // namespace

Work product_work(std::int64_t rows, std::int64_t depth, std::int64_t outputs, std::int64_t size, bool accumulate) {
  const double x = real(rows * depth), w = real(depth * outputs), y = real(rows * outputs);
  return {.flops = 2 * x * real(outputs), .bytes = real(size) * (x + w + (accumulate ? 2 : 1) * y)};
}

Work elementwise_work(std::int64_t elements, double flops, double passes, std::int64_t size) {
  return {.flops = flops * real(elements), .bytes = passes * real(elements * size)};
}

Work adapter_forward_work(std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t rank,
                          std::int64_t size) {
  return {
      .flops = 2 * real(rows * rank) * real(inputs + outputs),
      .bytes = 4 * (real(rank) * real(inputs + outputs) + real(rows * rank)) + 2 * real(size) * real(rows * outputs)};
}

Work adapter_backward_work(std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t rank,
                           std::int64_t size, bool with_input) {
  const double pass = 2 * real(rows * rank);
  return {
      .flops = pass * (2 * real(outputs) + (with_input ? 2 : 1) * real(inputs)),
      .bytes = 4 * (3 * real(rank) * real(inputs + outputs) + real(rows * rank)) + real(size) * real(rows * outputs)};
}

Work attention_forward_work(const AttentionShape& shape) {
  const double seen = real(shape.heads) * pairs(shape);
  return {.flops = seen * (4 * real(shape.dim) + kExponentialFlops), .bytes = attention_bytes(shape, 2, 2)};
}

// Scores are computed again: five products instead of two.
Work attention_backward_work(const AttentionShape& shape) {
  const double seen = real(shape.heads) * pairs(shape);
  return {.flops = seen * (10 * real(shape.dim) + kExponentialFlops), .bytes = attention_bytes(shape, 4, 4)};
}

}  // namespace finetune::ops
