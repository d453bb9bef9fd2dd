// What the gate of a gated linear unit (Shazeer, 2020) goes through.
#pragma once

namespace finetune::kernels {

/// gelu_tanh is the approximation by tanh (Hendrycks & Gimpel, 2016, section 2); gelu the exact one.
enum class Activation { silu, gelu_tanh, gelu };

}  // namespace finetune::kernels
