// What a decoder is, apart from its weights: sizes and switches. A family (models/families/) maps a HuggingFace
// config.json onto these.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/api/activation.h"

namespace finetune {

/// Rotary embedding frequencies, already scaled (linear, dynamic's static part, llama3, yarn, longrope): computed once
/// by rotary_options() (models/rope.h) and rounded to fp32 as transformers does.
struct RotaryOptions {
  std::vector<float> inverse_frequencies;  ///< of half of what is turned of a head: its first elements, or all
  float attention_factor = 1;              ///< cos and sin are multiplied by it (yarn, longrope)
  std::vector<float> long_frequencies;     ///< longrope: those of sequences of more than `long_from` tokens; else empty
  std::int64_t long_from = 0;
};

/// What turns a layer's queries and keys.
enum class Rope { global, local, none };

/// RMSNorm of q and k before the rotation: of each head, or of all heads of a token at once.
enum class QkNorm { none, head, whole };

/// A block is two branches, x + residual_scale * post_norm(body(pre_norm(x))); everything here that differs between
/// families is a value, and its default is what Llama does.
struct DecoderOptions {
  std::string family;           ///< its model_type
  std::string root = "model";   ///< path of the decoder's modules in the model that transformers makes
  std::int64_t vocab_size = 0;  ///< V
  std::int64_t width = 0;       ///< D, hidden_size
  std::int64_t mlp_width = 0;   ///< F, intermediate_size
  std::int64_t layers = 0;      ///< L
  std::int64_t heads = 0;       ///< H
  std::int64_t kv_heads = 0;    ///< G, divides H
  std::int64_t head_dim = 0;    ///< K, independent of D / H
  std::int64_t max_positions = 0;
  std::int64_t pad_id = -1;  ///< the token whose embedding no input trains, as in nn.Embedding; -1: none
  double norm_epsilon = 1e-6;
  bool tied_head = false;  ///< lm_head is the embedding
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool fused = false;  ///< q, k and v are one module, and so are gate and up
  QkNorm qk_norm = QkNorm::none;
  bool unit_offset_norm = false;                               ///< norms multiply by 1 + w
  kernels::Activation activation = kernels::Activation::silu;  ///< of the MLP's gate
  double attention_softcap = 0, logit_softcap = 0;             ///< x becomes cap * tanh(x / cap); 0 = as it is
  bool pre_norm = true;                                        ///< a branch normalises what goes into its body
  bool post_norm = false;                                      ///< a branch normalises what comes out of its body
  double embedding_scale = 1;                                  ///< rounded to the activations' type first
  bool scaled_outside = false;  ///< embeddings are scaled behind the module that looks them up
  double residual_scale = 1, logit_scale = 1;
  double attention_scale = 0;        ///< of q . k; 0 = 1 / sqrt(head_dim)
  std::vector<std::int64_t> window;  ///< per layer: a token sees itself and window-1 before it; 0 = all
  std::vector<Rope> rope;            ///< per layer; empty = global everywhere
  RotaryOptions rotary, local_rotary;
  std::vector<std::string> notes = {};  ///< what the config says that is not done, to be said once
};

/// The projections of a block, in the order in which they are computed, and at the end the modules that a fused model
/// has for those of one input. Indexes tables everywhere.
enum class Projection : int { q, k, v, o, gate, up, down, qkv, gate_up };
inline constexpr int kProjections = 9;
inline constexpr const char* kProjectionNames[kProjections] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj"};

inline constexpr std::array kAllProjections{Projection::q,    Projection::k,    Projection::v,
                                            Projection::o,    Projection::gate, Projection::up,
                                            Projection::down, Projection::qkv,  Projection::gate_up};
constexpr std::size_t index_of(Projection projection) {
  return static_cast<std::size_t>(projection);
}
inline const char* name_of(Projection projection) {
  return kProjectionNames[index_of(projection)];
}

/// A value for each projection.
template <class T>
struct PerProjection : std::array<T, kProjections> {
  T& operator[](Projection p) { return (*static_cast<std::array<T, kProjections>*>(this))[index_of(p)]; }
  const T& operator[](Projection p) const {
    return (*static_cast<const std::array<T, kProjections>*>(this))[index_of(p)];
  }
};

class ProjectionSet {
 public:
  constexpr ProjectionSet() = default;
  constexpr ProjectionSet(std::initializer_list<Projection> members) {
    for (const Projection p : members) add(p);
  }
  /// The seven of a model that is not fused.
  static constexpr ProjectionSet all() { return from_bits((1U << index_of(Projection::qkv)) - 1); }
  static constexpr ProjectionSet from_bits(std::uint32_t bits) {
    ProjectionSet set;
    set.bits_ = bits;
    return set;
  }

  constexpr void add(Projection p) { bits_ |= 1U << index_of(p); }
  constexpr bool has(Projection p) const { return (bits_ >> index_of(p) & 1U) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint32_t bits() const { return bits_; }  ///< a bit each, q the lowest
  std::vector<Projection> members() const;                ///< in their order
  auto operator<=>(const ProjectionSet&) const = default;

 private:
  std::uint32_t bits_ = 0;
};
constexpr ProjectionSet operator|(ProjectionSet a, ProjectionSet b) {
  return ProjectionSet::from_bits(a.bits() | b.bits());
}

constexpr bool is_attention(Projection projection) {
  return projection <= Projection::o || projection == Projection::qkv;
}

/// The projections that a model has as modules, and so may have adapters on.
ProjectionSet projections_of(const DecoderOptions& options);
/// HuggingFace module path of a projection: model.layers.3.self_attn.q_proj / model.layers.3.mlp.up_proj.
std::string projection_path(const DecoderOptions& options, std::int64_t layer, Projection projection);
/// Input and output features of a projection.
std::int64_t projection_in(const DecoderOptions& options, Projection projection);
std::int64_t projection_out(const DecoderOptions& options, Projection projection);
bool projection_has_bias(const DecoderOptions& options, Projection projection);

/// A number for a projection of a layer that no other of the model has: what random numbers are keyed on.
constexpr std::int64_t projection_key(std::int64_t layer, Projection projection) {
  using enum Projection;
  const Projection own = projection == qkv ? q : projection == gate_up ? gate : projection;
  return layer * static_cast<std::int64_t>(index_of(qkv)) + static_cast<std::int64_t>(index_of(own));
}

/// Which rows of the rotary tables a sequence takes: those from 0 on, or with longrope, when it is long, those from
/// `offset` on.
struct AngleRows {
  std::int64_t long_from = 0, offset = 0;
  std::int64_t first(std::int64_t tokens) const { return offset > 0 && tokens > long_from ? offset : 0; }
};
AngleRows angle_rows(const DecoderOptions& options);

}  // namespace finetune
