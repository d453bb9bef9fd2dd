// Kernels that work row by row: norms, gated units, rotation, cross-entropy.
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

template <typename Args>
Status over_rows(const Args& args, std::int64_t operations_per_row, Stream stream, RowKernel<Args> kernel) {
  if (args.type != Type::f32) return kFloat32Only;
  in_row_blocks(stream, args.rows, operations_per_row,
                [&](std::int64_t begin, std::int64_t end) { kernel(args, begin, end); });
  return {};
}

}  // namespace

Status rmsnorm_forward(const RmsnormForward& args, Stream stream) {
  return over_rows(args, 4 * args.width, stream, table().rmsnorm_forward);
}

Status rmsnorm_backward(const RmsnormBackward& args, Stream stream) {
  return over_rows(args, 4 * args.width, stream, table().rmsnorm_backward);
}

Status glu_forward(const GluForward& args, Stream stream) {
  return over_rows(args, 16 * args.width, stream, table().glu_forward);
}

Status glu_backward(const GluBackward& args, Stream stream) {
  return over_rows(args, 16 * args.width, stream, table().glu_backward);
}

Status softcap(const Softcap& args, Stream stream) {
  return over_rows(args, 16 * args.width, stream, table().softcap);
}

Status magnitude_backward(const MagnitudeBackward& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  constexpr std::int64_t kColumns = 64;
  in_parallel(stream, (args.width + kColumns - 1) / kColumns, 4 * args.rows * kColumns,
              [&](std::int64_t begin, std::int64_t end) {
                table().magnitude_backward(args, begin * kColumns, std::min(end * kColumns, args.width));
              });
  return {};
}

Status rotary(const Rotary& args, Stream stream) {
  return over_rows(args, 4 * args.heads * args.dim, stream, table().rotary);
}

// A row of logits is work enough for an item of its own.
Status cross_entropy(const CrossEntropy& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  in_parallel(stream, args.rows, 8 * args.vocabulary,
              [&](std::int64_t begin, std::int64_t end) { table().cross_entropy(args, begin, end); });
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

}  // namespace finetune::kernels::cpu
