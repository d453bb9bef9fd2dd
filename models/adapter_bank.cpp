#include "models/adapter_bank.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "core/random.h"

namespace finetune {

AdapterBank::AdapterBank(const DecoderOptions& model, const BankOptions& options, at::Device device)
    : model_(model), options_(options) {
  options_.rank = computed_rank(options.rank);
  places_.resize(static_cast<std::size_t>(model.layers));
  std::int64_t outputs = 0, modules = 0;
  for (auto& layer : places_) {
    for (const Projection projection : options.targets.members()) {
      const std::int64_t out = projection_out(model, projection);
      layer[projection].a = parameters_;
      parameters_ += options_.rank * projection_in(model, projection);
      layer[projection].b = parameters_;
      parameters_ += options_.rank * out;
      layer[projection].m = parameters_;
      parameters_ += options_.magnitudes ? out : 0;
      layer[projection].output = outputs;
      layer[projection].module = modules++;
      outputs += out;
    }
  }
  embed_ = parameters_;
  head_ = embed_ + saved_parameters(model, {.embed_tokens = options.saved.embed_tokens});
  parameters_ += saved_parameters(model, options.saved);
  const auto storage = at::TensorOptions().dtype(options_.dtype).device(device);
  for (auto* tensor : {&params_SP, &grads_SP, &first_SP, &second_SP}) {
    *tensor = at::zeros({options_.slots, parameters_}, storage);
  }
  if (options_.scales) scales_MS_ = at::zeros({modules, options_.slots}, storage.dtype(at::kFloat));
  if (!options_.magnitudes) return;
  factors_SM_ = at::ones({options_.slots, outputs}, storage);
  inverse_norms_SM_ = at::ones({options_.slots, outputs}, storage);
}

at::Tensor AdapterBank::magnitudes(const at::Tensor& storage_SP, std::int64_t layer, Projection projection) const {
  return storage_SP.narrow(1, place(layer, projection).m, projection_out(model_, projection));
}

at::Tensor AdapterBank::derived(const at::Tensor& storage_SM, std::int64_t layer, Projection projection) const {
  return storage_SM.narrow(1, place(layer, projection).output, projection_out(model_, projection));
}

const AdapterBank::Place& AdapterBank::place(std::int64_t layer, Projection projection) const {
  return places_[static_cast<std::size_t>(layer)][projection];
}

at::Tensor AdapterBank::view(const at::Tensor& storage_SP, std::int64_t layer, Projection projection, bool is_a) const {
  const std::int64_t in = projection_in(model_, projection), out = projection_out(model_, projection);
  const Place& at_place = place(layer, projection);
  return is_a
             ? storage_SP.as_strided({options_.slots, options_.rank, in}, {parameters_, in, 1}, at_place.a)
             : storage_SP.as_strided({options_.slots, out, options_.rank}, {parameters_, options_.rank, 1}, at_place.b);
}

at::Tensor AdapterBank::module(const at::Tensor& storage_SP, std::int64_t slot, std::int64_t offset) const {
  return storage_SP.select(0, slot)
      .narrow(0, offset, model_.vocab_size * model_.width)
      .view({model_.vocab_size, model_.width});
}

void AdapterBank::set_scales(std::int64_t slot, const SlotOptions& options) {
  if (!options_.scales) return;
  const at::Tensor scales_M = at::zeros({scales_MS_.size(0)}, at::kFloat);
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    for (const Projection p : options.targets.members())
      scales_M.data_ptr<float>()[place(layer, p).module] = static_cast<float>(options.module(layer, p).scale);
  }
  scales_MS_.select(1, slot).copy_(scales_M);
}

void AdapterBank::put_saved(std::int64_t slot, const SlotOptions& options, const at::Tensor& embed,
                            const at::Tensor& head) {
  if (options.saved.embed_tokens) embed_VD(slot).copy_(embed);
  if (options.saved.lm_head) head_VD(slot).copy_(head);
}

void AdapterBank::initialize(std::int64_t slot, const SlotOptions& options, std::uint64_t seed) {
  at::Tensor row_P = at::zeros({parameters_}, at::kFloat);
  float* row = row_P.data_ptr<float>();
  // One stream per matrix: an element's value depends on its place in the adapter, not on the rank or the targets.
  const std::vector<Projection> targets = options.targets.members();
  const std::int64_t each = std::ssize(targets);
  at::parallel_for(0, model_.layers * each, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t layer = i / each;
      const Projection projection = targets[static_cast<std::size_t>(i % each)];
      const std::int64_t in = projection_in(model_, projection);
      const double bound = 1.0 / std::sqrt(static_cast<double>(in));
      Random random(seed, Purpose::init, static_cast<std::uint64_t>(projection_key(layer, projection)));
      float* a = row + place(layer, projection).a;
      const std::int64_t rank = options.module(layer, projection).rank;
      for (std::int64_t k = 0; k < rank * in; ++k) a[k] = static_cast<float>(random.uniform(-bound, bound));
    }
  });
  params_SP.select(0, slot).copy_(row_P);
  for (auto* tensor : {&grads_SP, &first_SP, &second_SP}) tensor->select(0, slot).zero_();
}

void AdapterBank::load(std::int64_t slot, const SlotOptions& options, const AdapterTensors& adapter) {
  for (auto* tensor : {&params_SP, &grads_SP, &first_SP, &second_SP}) tensor->select(0, slot).zero_();
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    for (const Projection projection : options.targets.members()) {
      const auto& [a_RD, b_OR, m_O] = adapter.at(layer, projection);
      const std::int64_t rank = options.module(layer, projection).rank;
      a_SRD(layer, projection).select(0, slot).narrow(0, 0, rank).copy_(a_RD);
      b_SOR(layer, projection).select(0, slot).narrow(1, 0, rank).copy_(b_OR);
      if (options.dora) m_SO(layer, projection).select(0, slot).copy_(m_O);
    }
  }
  put_saved(slot, options, adapter.embed_VD, adapter.head_VD);
}

AdapterTensors AdapterBank::extract(std::int64_t slot, const SlotOptions& options) const {
  AdapterTensors adapter(model_.layers);
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    for (const Projection projection : options.targets.members()) {
      auto& [a_RD, b_OR, m_O] = adapter.at(layer, projection);
      const std::int64_t rank = options.pissa ? options.stored_rank() : options.module(layer, projection).rank;
      a_RD = a_SRD(layer, projection).select(0, slot).narrow(0, 0, rank).cpu().contiguous().clone();
      b_OR = b_SOR(layer, projection).select(0, slot).narrow(1, 0, rank).cpu().contiguous().clone();
      if (options.dora) m_O = m_SO(layer, projection).select(0, slot).cpu().contiguous().clone();
    }
  }
  if (options.saved.embed_tokens) adapter.embed_VD = embed_VD(slot).cpu().clone();
  if (options.saved.lm_head) adapter.head_VD = head_VD(slot).cpu().clone();
  return adapter;
}

void AdapterBank::copy(std::int64_t from, std::int64_t to) {
  for (auto* tensor : {&params_SP, &first_SP, &second_SP}) tensor->select(0, to).copy_(tensor->select(0, from));
  grads_SP.select(0, to).zero_();
}

std::vector<kernels::ParameterRange> AdapterBank::ranges(double ratio) const {
  std::vector<kernels::ParameterRange> ranges;
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    for (const Projection projection : options_.targets.members()) {
      const Place& own = place(layer, projection);
      ranges.push_back({own.a, own.b});
      const std::int64_t out = projection_out(model_, projection);
      ranges.push_back({own.b, own.m + (options_.magnitudes ? out : 0), ratio});
    }
  }
  if (!options_.saved.empty()) ranges.push_back({embed_, parameters_});
  return ranges;
}

std::vector<ops::Piece> AdapterBank::pieces(const SlotOptions& options) const {
  std::vector<ops::Piece> pieces;
  // What stands behind the rank of a pissa adapter is not trained.
  const std::int64_t rank = options.pissa ? options.rank : computed_rank(options.rank);
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    for (const Projection projection : options.targets.members()) {
      const std::int64_t in = projection_in(model_, projection), out = projection_out(model_, projection);
      pieces.push_back({.offset = place(layer, projection).a, .rows = rank, .length = in, .stride = in});
      pieces.push_back({.offset = place(layer, projection).b, .rows = out, .length = rank, .stride = options_.rank});
      if (options.dora)
        pieces.push_back({.offset = place(layer, projection).m, .rows = 1, .length = out, .stride = out});
    }
  }
  const auto add_module = [&](std::int64_t offset) {
    pieces.push_back({.offset = offset, .rows = model_.vocab_size, .length = model_.width, .stride = model_.width});
  };
  if (options.saved.embed_tokens) add_module(embed_);
  if (options.saved.lm_head) add_module(head_);
  return pieces;
}

}  // namespace finetune
