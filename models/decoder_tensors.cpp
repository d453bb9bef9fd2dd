#include "models/decoder_tensors.h"

#include <array>

namespace finetune {
namespace {

constexpr std::array kQkv{Projection::q, Projection::k, Projection::v};
constexpr std::array kGateUp{Projection::gate, Projection::up};
constexpr std::array kFusedQkv{Projection::qkv}, kO{Projection::o}, kFusedGateUp{Projection::gate_up},
    kDown{Projection::down};

// Of a stack as a model has it whose projections are modules of their own.
std::span<const Projection> rows_of(Stack stack) {
  if (stack == Stack::qkv) return kQkv;
  if (stack == Stack::gate_up) return kGateUp;
  return stack == Stack::o ? std::span<const Projection>(kO) : kDown;
}

TensorRows stacked(const DecoderOptions& model, std::int64_t layer, Stack stack, const char* what,
                   std::int64_t columns) {
  TensorRows rows{.columns = columns};
  for (const Projection p : modules_of(model, stack))
    rows.parts.push_back({projection_path(model, layer, p) + what, projection_out(model, p)});
  return rows;
}

}  // namespace

std::int64_t TensorRows::rows() const {
  std::int64_t count = 0;
  for (const Part& part : parts) count += part.rows;
  return count;
}

std::vector<std::int64_t> TensorRows::shape_of(std::int64_t count) const {
  return columns > 0 ? std::vector{count, columns} : std::vector{count};
}

Stack stack_of(Projection projection) {
  if (projection == Projection::o) return Stack::o;
  if (projection == Projection::down) return Stack::down;
  return is_attention(projection) ? Stack::qkv : Stack::gate_up;
}

std::span<const Projection> modules_of(const DecoderOptions& model, Stack stack) {
  if (model.fused && stack == Stack::qkv) return kFusedQkv;
  if (model.fused && stack == Stack::gate_up) return kFusedGateUp;
  return rows_of(stack);
}

TensorRows norm_rows(const DecoderOptions& model, std::int64_t layer, const std::string& name, std::int64_t width) {
  const std::string block = layer < 0 ? "." : ".layers." + std::to_string(layer) + ".";
  return {.parts = {{model.root + block + name + ".weight", width}}};
}

TensorRows matrix_rows(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return {.parts = {{name, rows}}, .columns = columns};
}

TensorRows weight_rows(const DecoderOptions& model, std::int64_t layer, Stack stack) {
  TensorRows rows = stacked(model, layer, stack, ".weight", projection_in(model, rows_of(stack).front()));
  rows.projection = true;
  return rows;
}

TensorRows bias_rows(const DecoderOptions& model, std::int64_t layer, Stack stack) {
  return stacked(model, layer, stack, ".bias", 0);
}

std::int64_t base_parameters(const DecoderOptions& model) {
  struct Nothing {};
  DecoderTensors<Nothing> tensors;
  tensors.blocks.resize(static_cast<std::size_t>(model.layers));
  std::int64_t parameters = 0;
  for_each_tensor(model, tensors, [&](const TensorRows& rows, Nothing&) { parameters += rows.elements(); });
  return parameters;
}

std::pair<std::int64_t, std::int64_t> stacked_rows(const DecoderOptions& model, Projection projection) {
  if (projection == Projection::qkv || projection == Projection::gate_up) return {0, projection_out(model, projection)};
  std::int64_t first = 0;
  for (const Projection p : rows_of(stack_of(projection))) {
    if (p == projection) break;
    first += projection_out(model, p);
  }
  return {first, projection_out(model, projection)};
}

}  // namespace finetune
