// All of a slot off it and back: what a service saves beside an adapter, so that a slot goes on where it was.
#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number.h"
#include "engine/image_parts.h"
#include "engine/service.h"

namespace finetune {
namespace {

class ServiceImage : public TrialImage {
 public:
  ServiceImage(SlotImage slot, at::Tensor grads_P, nlohmann::json values)
      : slot_(std::move(slot)), grads_P_(std::move(grads_P)), values_(std::move(values)) {}
  ImageParts parts() const override {
    ImageParts parts{.arrays = {{"params", floats(slot_.params_P)},
                                {"first", floats(slot_.first_P)},
                                {"second", floats(slot_.second_P)}},
                     .values = values_};
    if (grads_P_.defined()) parts.arrays.emplace_back("gradients", floats(grads_P_));
    return parts;
  }

 private:
  SlotImage slot_;
  at::Tensor grads_P_;  // undefined: none wait
  nlohmann::json values_;
};

// Where a slot's numbers lie in its row.
nlohmann::json room_of(const StoreOptions& room) {
  return {{"rank", computed_rank(room.max_rank)},
          {"projections", room.targets.bits()},
          {"magnitudes", room.magnitudes},
          {"embed_tokens", room.saved.embed_tokens},
          {"lm_head", room.saved.lm_head}};
}

nlohmann::json shape_of(const SlotOptions& slot) {
  nlohmann::json modules = nlohmann::json::array();
  for (const auto& layer : slot.modules) {
    for (const Projection p : slot.targets.members()) modules.push_back({layer[p].rank, layer[p].scale});
  }
  return {{"rank", slot.rank},
          {"scale", slot.scale},
          {"projections", slot.targets.bits()},
          {"dora", slot.dora},
          {"pissa", slot.pissa},
          {"embed_tokens", slot.saved.embed_tokens},
          {"lm_head", slot.saved.lm_head},
          {"modules", modules}};
}

void require_same(const nlohmann::json& values, const char* name, const nlohmann::json& own, const std::string& what) {
  if (!values.is_object() || values.value(name, nlohmann::json()) != own) throw bad_input("", what);
}

}  // namespace

std::shared_ptr<const TrialImage> Service::capture(std::int64_t number) const {
  const Slot& slot = slots_.at(number);
  SlotImage image = store_.capture(number);
  for (at::Tensor* rows : {&image.params_P, &image.first_P, &image.second_P, &image.steps}) *rows = rows->cpu();
  at::Tensor grads_P;
  if (slot.pending_tokens > 0) grads_P = store_.grads_SP().select(0, number).cpu().clone();
  const nlohmann::json values{{"optimizer_steps", image.steps.item<std::int64_t>()},
                              {"step", slot.trial.step},
                              {"pending_tokens", slot.pending_tokens},
                              {"pending_loss", number_to_text(slot.pending_loss)},
                              {"room", room_of(options_.room)},
                              {"shape", shape_of(slot.options)}};
  return std::make_shared<ServiceImage>(std::move(image), std::move(grads_P), values);
}

void Service::restore(std::int64_t number, const ImageParts& parts) {
  Slot& slot = slots_.at(number);
  require_same(parts.values, "room", room_of(options_.room),
               "was saved by a service that had room for other ranks or modules: start it with the same train.lora");
  require_same(parts.values, "shape", shape_of(slot.options), "is of an adapter of another shape than the slot's");
  const std::int64_t length = store_.params_SP().size(1);
  const auto optimizer_steps = whole_of<std::int64_t>(parts.values, "optimizer_steps", 0);
  const auto step = whole_of<std::int64_t>(parts.values, "step", 1);
  const auto tokens = whole_of<std::int64_t>(parts.values, "pending_tokens", 0);
  const auto text = parts.values.find("pending_loss");
  const auto loss =
      text != parts.values.end() && text->is_string() ? number_from_text(text->get<std::string>()) : std::nullopt;
  if (!loss) throw bad_input("", "pending_loss is missing");
  const SlotImage image{row_of(parts, "params", length), row_of(parts, "first", length),
                        row_of(parts, "second", length), at::scalar_tensor(optimizer_steps, at::kLong)};
  const at::Tensor grads_P = tokens > 0 ? row_of(parts, "gradients", length) : at::zeros({1}, at::kFloat);
  store_.restore(number, image);
  store_.grads_SP().select(0, number).copy_(grads_P.expand({length}));
  store_.updated(number);
  slot.trial.step = step;
  slot.pending_tokens = tokens;
  slot.pending_loss = *loss;
}

}  // namespace finetune
