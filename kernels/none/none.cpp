#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/glu.h"
#include "kernels/api/packed.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"

namespace finetune::kernels::cuda {
namespace {

constexpr Status kNone{"this program was built without CUDA kernels (no nvcc was found)"};

}  // namespace

Status available(int) {
  return kNone;
}
Status rmsnorm_forward(const RmsnormForward&, Stream) {
  return kNone;
}
Status rmsnorm_backward(const RmsnormBackward&, Stream) {
  return kNone;
}
Status rmsnorm_weight_gradient(const RmsnormWeightGradient&, Stream) {
  return kNone;
}
Status rotary(const Rotary&, Stream) {
  return kNone;
}
Status glu_forward(const GluForward&, Stream) {
  return kNone;
}
Status glu_backward(const GluBackward&, Stream) {
  return kNone;
}
Status cross_entropy(const CrossEntropy&, Stream) {
  return kNone;
}
Status row_sums(const RowSums&, Stream) {
  return kNone;
}
Status adapter_forward(const AdapterForward&, Stream) {
  return kNone;
}
Status adapter_backward(const AdapterBackward&, Stream) {
  return kNone;
}
Status adamw(const AdamW&, Stream) {
  return kNone;
}
Status gradient_norms(const GradientNorms&, Stream) {
  return kNone;
}
Status dequantize(const Dequantize&, Stream) {
  return kNone;
}

}  // namespace finetune::kernels::cuda
