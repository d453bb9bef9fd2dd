#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "engine/image_parts.h"
#include "engine/packed_trainer.h"
#include "engine/torch_image.h"

namespace finetune {
namespace {

// What follows from a trial's configuration (rank, scale, targets) is set anew by restore.
nlohmann::json values_of(const TorchImage& image) {
  const PackTrial& trial = image.trial();
  return {{"optimizer_steps", image.on_host().steps.item<std::int64_t>()},
          {"step", trial.step},
          {"batch_size", trial.batch_size},
          {"order_seed", trial.order_seed},
          {"shares", trial.shares}};
}

std::vector<double> shares_of(const nlohmann::json& values) {
  std::vector<double> shares;
  const auto found = values.find("shares");
  if (found == values.end() || !found->is_array()) throw bad_input("", "shares is missing");
  for (const auto& share : *found) {
    if (!share.is_number() || !(share.get<double>() > 0)) throw bad_input("", "shares are no numbers above 0");
    shares.push_back(share.get<double>());
  }
  return shares;
}

}  // namespace

std::span<const float> floats(const at::Tensor& row_P) {
  return {row_P.const_data_ptr<float>(), static_cast<std::size_t>(row_P.numel())};
}

at::Tensor row_of(const ImageParts& parts, const std::string& name, std::int64_t length) {
  for (const auto& [key, values] : parts.arrays) {
    if (key != name) continue;
    if (std::ssize(values) != length)
      throw bad_input("", name + " has " + std::to_string(values.size()) + " values, not " + std::to_string(length));
    at::Tensor row_P = at::empty({length}, at::kFloat);
    std::ranges::copy(values, row_P.mutable_data_ptr<float>());
    return row_P;
  }
  throw bad_input("", name + " is missing");
}

// Points into what on_host left there for good.
ImageParts TorchImage::parts() const {
  const SlotImage slot = on_host();
  return {
      .arrays = {{"params", floats(slot.params_P)}, {"first", floats(slot.first_P)}, {"second", floats(slot.second_P)}},
      .values = values_of(*this)};
}

std::shared_ptr<const TrialImage> PackedTrainer::image_of(const ImageParts& parts) const {
  const std::int64_t length = store_.params_SP().size(1);
  PackTrial trial;
  trial.step = whole_of<std::int64_t>(parts.values, "step", 1);
  trial.batch_size = whole_of<std::int64_t>(parts.values, "batch_size", 1);
  trial.order_seed = whole_of<std::uint64_t>(parts.values, "order_seed", 0);
  trial.shares = shares_of(parts.values);
  const auto steps = whole_of<std::int64_t>(parts.values, "optimizer_steps", 0);
  return std::make_shared<TorchImage>(SlotImage{row_of(parts, "params", length), row_of(parts, "first", length),
                                                row_of(parts, "second", length), at::scalar_tensor(steps, at::kLong)},
                                      std::move(trial));
}

}  // namespace finetune
