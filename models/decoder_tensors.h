// Every tensor of a decoder, once. Weights, gradients and whatever else there is one of for each tensor are instances
// of the templates; who reads, writes, sizes or trains tensors walks them with for_each_tensor, which knows their names
// in a HuggingFace checkpoint, their shapes and whether a model has them. A tensor that a family adds is a member here
// and a line there. Torch-free.
//
// Shapes: V vocabulary, D width, H heads, G key/value heads, K head_dim, E = (H + 2G) K, O = H K, F mlp width.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

/// Projections that share an input are stacked into one matrix, so a block has four matrix products instead of seven.
/// What a model does not have stays as it was made (a tensor: undefined).
template <class T>
struct BlockTensors {
  T attention_norm_D, mlp_norm_D;            ///< before attention, before the MLP
  T attention_post_norm_D, mlp_post_norm_D;  ///< of what they give, before it is added to the residual
  T qkv_ED;                                  ///< rows: q heads, k heads, v heads
  T o_DO;
  T gate_up_2FD;  ///< rows: gate, up
  T down_DF;
  T qkv_bias_E, o_bias_D, gate_up_bias_2F, down_bias_D;
  T q_norm, k_norm;  ///< of each head [K], or of all heads at once [H K] and [G K]
};

template <class T>
struct DecoderTensors {
  T embed_VD;
  std::vector<BlockTensors<T>> blocks;
  T final_norm_D;
  T head_VD;  ///< when tied the same as embed_VD, and not walked
};

/// A tensor as a checkpoint has it: one tensor, or several that are its rows, one behind the other.
struct TensorRows {
  struct Part {
    std::string name;
    std::int64_t rows = 0;
  };
  std::vector<Part> parts;
  std::int64_t columns = 0;  ///< 0: a vector
  bool projection = false;   ///< weights of projections that share an input: what may be quantised

  std::int64_t rows() const;
  std::int64_t elements() const { return rows() * (columns > 0 ? columns : 1); }
  /// [count, columns], or [count] of a vector.
  std::vector<std::int64_t> shape_of(std::int64_t count) const;
  std::vector<std::int64_t> shape() const { return shape_of(rows()); }
};

/// Projections that share an input: one matrix.
enum class Stack { qkv, o, gate_up, down };
inline constexpr std::array kStacks{Stack::qkv, Stack::o, Stack::gate_up, Stack::down};
Stack stack_of(Projection projection);
/// The modules that the rows of a stack belong to, in their order.
std::span<const Projection> modules_of(const DecoderOptions& model, Stack stack);

/// ROOT.layers.LAYER.NAME, or ROOT.NAME for layer -1: a vector of norm weights.
TensorRows norm_rows(const DecoderOptions& model, std::int64_t layer, const std::string& name, std::int64_t width);
TensorRows matrix_rows(const std::string& name, std::int64_t rows, std::int64_t columns);
TensorRows weight_rows(const DecoderOptions& model, std::int64_t layer, Stack stack);
TensorRows bias_rows(const DecoderOptions& model, std::int64_t layer, Stack stack);

/// Calls visit(rows, tensor) for every tensor of one block that the model has, in a fixed order: that of flat storage
/// and of sums over tensors. `block` is a BlockTensors, const or not.
template <class Block, class Visit>
void for_each_of_block(const DecoderOptions& m, std::int64_t layer, Block& block, const Visit& visit) {
  using enum Stack;
  const auto norm = [&](const char* name, std::int64_t width, auto& tensor) {
    visit(norm_rows(m, layer, name, width), tensor);
  };
  // Without post-norms the norm before the MLP has the name that it has in Llama: after the attention.
  const char* before_mlp = m.post_norm ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  if (m.pre_norm) norm("input_layernorm", m.width, block.attention_norm_D);
  if (m.pre_norm) norm(before_mlp, m.width, block.mlp_norm_D);
  if (m.post_norm) norm("post_attention_layernorm", m.width, block.attention_post_norm_D);
  if (m.post_norm) norm("post_feedforward_layernorm", m.width, block.mlp_post_norm_D);
  visit(weight_rows(m, layer, qkv), block.qkv_ED);
  visit(weight_rows(m, layer, o), block.o_DO);
  visit(weight_rows(m, layer, gate_up), block.gate_up_2FD);
  visit(weight_rows(m, layer, down), block.down_DF);
  if (m.qkv_bias) visit(bias_rows(m, layer, qkv), block.qkv_bias_E);
  if (m.o_bias) visit(bias_rows(m, layer, o), block.o_bias_D);
  if (m.mlp_bias) visit(bias_rows(m, layer, gate_up), block.gate_up_bias_2F);
  if (m.mlp_bias) visit(bias_rows(m, layer, down), block.down_bias_D);
  if (m.qk_norm == QkNorm::none) return;
  const bool whole = m.qk_norm == QkNorm::whole;
  norm("self_attn.q_norm", whole ? m.heads * m.head_dim : m.head_dim, block.q_norm);
  norm("self_attn.k_norm", whole ? m.kv_heads * m.head_dim : m.head_dim, block.k_norm);
}

inline std::string embedding_name(const DecoderOptions& m) {
  return m.root + ".embed_tokens.weight";
}
inline constexpr const char* kHeadName = "lm_head.weight";

/// The same for a whole decoder, whose blocks are there; the head only where it is not tied.
template <class Tensors, class Visit>
void for_each_tensor(const DecoderOptions& m, Tensors& tensors, const Visit& visit) {
  visit(matrix_rows(embedding_name(m), m.vocab_size, m.width), tensors.embed_VD);
  for (std::size_t layer = 0; layer < tensors.blocks.size(); ++layer)
    for_each_of_block(m, static_cast<std::int64_t>(layer), tensors.blocks[layer], visit);
  visit(norm_rows(m, -1, "norm", m.width), tensors.final_norm_D);
  if (!m.tied_head) visit(matrix_rows(kHeadName, m.vocab_size, m.width), tensors.head_VD);
}

/// Numbers in all tensors of a model.
std::int64_t base_parameters(const DecoderOptions& model);

/// The rows of a projection in its stacked tensor, whether it is a module of its own or not: {first, count}.
std::pair<std::int64_t, std::int64_t> stacked_rows(const DecoderOptions& model, Projection projection);

/// The weights and the biases of a stack, as references.
template <class Block>
auto stacked_tensors(Block& block, Stack stack) {
  if (stack == Stack::qkv) return std::tie(block.qkv_ED, block.qkv_bias_E);
  if (stack == Stack::o) return std::tie(block.o_DO, block.o_bias_D);
  if (stack == Stack::gate_up) return std::tie(block.gate_up_2FD, block.gate_up_bias_2F);
  return std::tie(block.down_DF, block.down_bias_D);
}
/// Those that a projection's rows are in.
template <class Block>
auto stacked_tensors(Block& block, Projection projection) {
  return stacked_tensors(block, stack_of(projection));
}

}  // namespace finetune
