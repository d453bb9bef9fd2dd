// All trials' LoRA adapters on one device: parameters, gradients and two moments, in fp32. A slot is one row of flat
// storage, so a clone is a row copy, an optimizer step one launch over rows, and a trial's norm a reduction of its row.
//
// Shapes: S slots, P parameters of a slot, R stored rank, D_in/D_out features of a projection.
// V vocabulary, D width of the model.
// Ranks below R are zero rows of a and zero columns of b; only the trial's own rank (rounded up to 16) is computed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/torch/ops.h"
#include "models/decoder_options.h"
#include "models/peft.h"
#include "models/saved_modules.h"

namespace finetune {

/// Which projections the bank holds, and how it is sized.
struct BankOptions {
  std::int64_t slots = 1;
  std::int64_t rank = 16;             ///< R: the largest rank of any trial, rounded up to 16
  ProjectionSet targets;              ///< union over all trials
  at::ScalarType dtype = at::kFloat;  ///< fp64 in tests of gradients
  bool magnitudes = false;            ///< some trial has them
  SavedModules saved = {};            ///< union over all trials
  bool scales = false;                ///< some trial has modules of another rank or scale than the rest
};

/// What a trial trains, as the bank needs to know it.
struct SlotOptions {
  std::int64_t rank = 16;  ///< the largest of any module
  ProjectionSet targets;
  double scale = 1;   ///< alpha / r or alpha / sqrt(r)
  bool dora = false;  ///< magnitudes (models/dora.h)
  bool pissa =
      false;  ///< rows of a and columns of b behind `rank` take the principal part off the base (models/pissa.h)
  SavedModules saved = {};   ///< of which it trains copies
  ModuleRanks modules = {};  ///< empty: all have `rank` and `scale`

  ModuleRank module(std::int64_t layer, Projection p) const {
    return modules.empty() ? ModuleRank{rank, scale} : modules[static_cast<std::size_t>(layer)][p];
  }
  std::int64_t stored_rank() const { return pissa ? 2 * rank : rank; }
  bool operator==(const SlotOptions&) const = default;
};

class AdapterBank {
 public:
  AdapterBank(const DecoderOptions& model, const BankOptions& options, at::Device device);

  /// a uniform in +-1/sqrt(D_in) keyed on (seed, layer, projection, element), b zero; gradients and moments zero.
  void initialize(std::int64_t slot, const SlotOptions& options, std::uint64_t seed);
  /// The scales of the slot's modules, where options.scales; before a pass over it.
  void set_scales(std::int64_t slot, const SlotOptions& options);
  /// Copies of modules as they begin, of those that the slot trains.
  void put_saved(std::int64_t slot, const SlotOptions& options, const at::Tensor& embed_VD, const at::Tensor& head_VD);
  /// The slot's adapter from a PEFT adapter; gradients and moments zero.
  void load(std::int64_t slot, const SlotOptions& options, const AdapterTensors& adapter);
  /// The slot's adapter, trimmed to its rank, on the CPU.
  AdapterTensors extract(std::int64_t slot, const SlotOptions& options) const;

  /// Parameters and moments of one slot replace those of another.
  void copy(std::int64_t from, std::int64_t to);

  ProjectionSet targets() const { return options_.targets; }
  at::Tensor a_SRD(std::int64_t layer, Projection projection) const { return view(params_SP, layer, projection, true); }
  at::Tensor b_SOR(std::int64_t layer, Projection projection) const {
    return view(params_SP, layer, projection, false);
  }
  at::Tensor grad_a_SRD(std::int64_t layer, Projection p) const { return view(grads_SP, layer, p, true); }
  at::Tensor grad_b_SOR(std::int64_t layer, Projection p) const { return view(grads_SP, layer, p, false); }
  bool has_magnitudes() const { return options_.magnitudes; }
  at::Tensor m_SO(std::int64_t layer, Projection p) const { return magnitudes(params_SP, layer, p); }
  at::Tensor grad_m_SO(std::int64_t layer, Projection p) const { return magnitudes(grads_SP, layer, p); }
  /// Undefined where a slot has one scale.
  at::Tensor scale_S(std::int64_t layer, Projection p) const {
    return options_.scales ? scales_MS_.select(0, place(layer, p).module) : at::Tensor();
  }
  SavedModules saved() const { return options_.saved; }
  at::Tensor embed_VD(std::int64_t slot) const { return module(params_SP, slot, embed_); }
  at::Tensor head_VD(std::int64_t slot) const { return module(params_SP, slot, head_); }
  at::Tensor grad_embed_VD(std::int64_t slot) const { return module(grads_SP, slot, embed_); }
  at::Tensor grad_head_VD(std::int64_t slot) const { return module(grads_SP, slot, head_); }
  /// m over the norm of the adapted weight's rows, and one over that norm: kept up to date by refresh_magnitudes.
  at::Tensor factor_SO(std::int64_t layer, Projection p) const { return derived(factors_SM_, layer, p); }
  at::Tensor inverse_norm_SO(std::int64_t layer, Projection p) const { return derived(inverse_norms_SM_, layer, p); }

  /// The matrices of a slot, adapters with their computed rank, in a fixed order: what the gradient norm is summed
  /// over.
  std::vector<ops::Piece> pieces(const SlotOptions& options) const;

  /// All parameters of a slot: those of b and m at `ratio` times the slot's learning rate (Hayou et al., "LoRA+",
  /// 2024), the others at the rate itself.
  std::vector<kernels::ParameterRange> ranges(double ratio) const;

  std::int64_t slots() const { return options_.slots; }
  std::int64_t parameters() const { return parameters_; }
  std::int64_t rank() const { return options_.rank; }

  at::Tensor params_SP, grads_SP, first_SP, second_SP;

 private:
  struct Place {
    std::int64_t a = 0, b = 0, m = 0;  // offsets in a slot's row
    std::int64_t output = 0;           // of the first output among those of all projections
    std::int64_t module = 0;           // among all projections
  };
  at::Tensor magnitudes(const at::Tensor& storage_SP, std::int64_t layer, Projection projection) const;
  at::Tensor derived(const at::Tensor& storage_SM, std::int64_t layer, Projection projection) const;
  at::Tensor view(const at::Tensor& storage_SP, std::int64_t layer, Projection projection, bool is_a) const;
  at::Tensor module(const at::Tensor& storage_SP, std::int64_t slot, std::int64_t offset) const;
  const Place& place(std::int64_t layer, Projection projection) const;

  DecoderOptions model_;
  BankOptions options_;
  std::int64_t parameters_ = 0;
  std::vector<PerProjection<Place>> places_;
  std::int64_t embed_ = 0, head_ = 0;  // offsets in a slot's row, behind the adapters
  at::Tensor factors_SM_, inverse_norms_SM_;
  at::Tensor scales_MS_;
};

/// The rank that is computed for a trial of rank r: the next multiple of 16 (a product with 16 or more columns has the
/// same bits however many more there are).
constexpr std::int64_t computed_rank(std::int64_t rank) {
  return (rank + 15) / 16 * 16;
}

}  // namespace finetune
