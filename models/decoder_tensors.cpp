#include "models/decoder_tensors.h"

namespace finetune {
namespace {

// Projections of one input, in the order of their rows.
std::initializer_list<Projection> stacked_with(Projection projection) {
  using enum Projection;
  static constexpr std::initializer_list<Projection> kOfInput = {q, k, v}, kOfMlp = {gate, up}, kO = {o},
                                                     kDown = {down};
  return projection < o ? kOfInput : projection == o ? kO : projection < down ? kOfMlp : kDown;
}

TensorRows stack(const DecoderOptions& model, std::int64_t layer, std::initializer_list<Projection> projections,
                 const char* what, std::int64_t columns) {
  TensorRows rows{.columns = columns};
  for (const Projection p : projections)
    rows.parts.push_back({projection_path(layer, p) + what, projection_out(model, p)});
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

TensorRows norm_rows(std::int64_t layer, const std::string& name, std::int64_t width) {
  const std::string prefix = layer < 0 ? "" : "model.layers." + std::to_string(layer) + ".";
  return {.parts = {{prefix + name + ".weight", width}}};
}

TensorRows matrix_rows(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return {.parts = {{name, rows}}, .columns = columns};
}

TensorRows weight_rows(const DecoderOptions& model, std::int64_t layer, std::initializer_list<Projection> projections) {
  return stack(model, layer, projections, ".weight", projection_in(model, *projections.begin()));
}

TensorRows bias_rows(const DecoderOptions& model, std::int64_t layer, std::initializer_list<Projection> projections) {
  return stack(model, layer, projections, ".bias", 0);
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
  std::int64_t first = 0;
  for (const Projection p : stacked_with(projection)) {
    if (p == projection) break;
    first += projection_out(model, p);
  }
  return {first, projection_out(model, projection)};
}

}  // namespace finetune
