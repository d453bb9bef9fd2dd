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

/// Rotary embedding frequencies, already scaled (linear, dynamic's static part, llama3, yarn): computed once by
/// rope_frequencies() in double and rounded to fp32 as transformers does.
struct RotaryOptions {
  std::vector<float> inverse_frequencies;  ///< [head_dim / 2]
  float attention_factor = 1;              ///< cos and sin are multiplied by it (yarn)
};

/// What turns a layer's queries and keys.
enum class Rope { global, local, none };

/// A block is two branches, x + residual_scale * post_norm(body(pre_norm(x))); everything here that differs between
/// families is a value, and its default is what Llama does.
struct DecoderOptions {
  std::string family;           ///< llama, mistral, qwen2, qwen3
  std::int64_t vocab_size = 0;  ///< V
  std::int64_t width = 0;       ///< D, hidden_size
  std::int64_t mlp_width = 0;   ///< F, intermediate_size
  std::int64_t layers = 0;      ///< L
  std::int64_t heads = 0;       ///< H
  std::int64_t kv_heads = 0;    ///< G, divides H
  std::int64_t head_dim = 0;    ///< K, independent of D / H
  std::int64_t max_positions = 0;
  double norm_epsilon = 1e-6;
  bool tied_head = false;  ///< lm_head is the embedding
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;                                        ///< RMSNorm over head_dim on q and k before the rotation
  bool unit_offset_norm = false;                               ///< norms multiply by 1 + w
  kernels::Activation activation = kernels::Activation::silu;  ///< of the MLP's gate
  double attention_softcap = 0, logit_softcap = 0;             ///< x becomes cap * tanh(x / cap); 0 = as it is
  bool pre_norm = true;                                        ///< a branch normalises what goes into its body
  bool post_norm = false;                                      ///< a branch normalises what comes out of its body
  double embedding_scale = 1;                                  ///< rounded to the activations' type first
  double residual_scale = 1, logit_scale = 1;
  double attention_scale = 0;        ///< of q . k; 0 = 1 / sqrt(head_dim)
  std::vector<std::int64_t> window;  ///< per layer: a token sees itself and window-1 before it; 0 = all
  std::vector<Rope> rope;            ///< per layer; empty = global everywhere
  RotaryOptions rotary, local_rotary;
};

/// The seven projections of a block, in the order in which they are computed. Indexes tables everywhere.
enum class Projection : int { q, k, v, o, gate, up, down };
inline constexpr int kProjections = 7;
inline constexpr const char* kProjectionNames[kProjections] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                               "gate_proj", "up_proj", "down_proj"};

inline constexpr std::array kAllProjections{Projection::q,    Projection::k,  Projection::v,   Projection::o,
                                            Projection::gate, Projection::up, Projection::down};
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
  static constexpr ProjectionSet all() { return from_bits((1U << kProjections) - 1); }
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

/// HuggingFace module path of a projection: model.layers.3.self_attn.q_proj / model.layers.3.mlp.up_proj.
std::string projection_path(std::int64_t layer, Projection projection);
/// Input and output features of a projection.
std::int64_t projection_in(const DecoderOptions& options, Projection projection);
std::int64_t projection_out(const DecoderOptions& options, Projection projection);
bool projection_has_bias(const DecoderOptions& options, Projection projection);

}  // namespace finetune
