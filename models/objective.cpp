#include "models/objective.h"

#include <ATen/ATen.h>

#include "models/decoder.h"

namespace finetune {
namespace {

class Sft : public Objective {
 public:
  at::Tensor weights(const Pack& pack, const PackLosses*) const override { return pack.scale_N; }
  std::vector<Figure> figures(const Pack&, const PackLosses& losses) const override {
    return {{"loss", losses.nll_N}, {"token_accuracy", losses.correct_N}};
  }
};

}  // namespace

const Objective& sft() {
  static const Sft kSft;
  return kSft;
}

}  // namespace finetune
