// What the gate of a gated linear unit (Shazeer, 2020) goes through.
#pragma once

namespace finetune::kernels {

/// gelu_tanh: the approximation of the GELU by tanh (Hendrycks & Gimpel, 2016, section 2).
enum class Activation { silu, gelu_tanh };

}  // namespace finetune::kernels
