// Runs the passes of a round on a device: each copied in and computed, or, with graphs, replayed from a capture of its
// shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "engine/graph_cache.h"
#include "engine/pack_builder.h"
#include "kernels/torch/graph.h"
#include "models/decoder.h"

namespace finetune {

struct PassOptions {
  bool graphs = false;     ///< passes have the shapes of bucket_of and are captured
  std::int64_t rank = 16;  ///< with graphs: the largest that may come, and every projection that may be adapted
  std::uint32_t projections = 0;
  PackShape largest;  ///< with graphs: buffers are sized for it before the first capture
  const Objective* objective = &sft();
};

class PassRunner {
 public:
  PassRunner(at::Device device, const PassOptions& options) : device_(device), options_(options) {}

  /// Forward and backward; returns the figures of the objective, valid until the next pass. `model` tells the sets of
  /// weights apart that passes are captured for.
  std::vector<Figure> train(const DecoderBase& base, const Trainables& trainables, std::int64_t model,
                            const PackData& data);
  /// Forward only. Never captured: evaluations are rare.
  std::vector<Figure> evaluate(const DecoderBase& base, const AdapterBank* bank, const PackData& data,
                               const Objective& objective);

  /// Gives all buffers and captures back. `largest`: from here on.
  void release(const PackShape& largest);
  /// Bytes of activation buffers so far.
  std::int64_t workspace_bytes() const { return workspace_.bytes(); }
  /// Passes captured so far.
  std::int64_t captures() const { return graphs_.captures(); }

 private:
  struct Captured {
    Captured(const PackData& data, at::Device device) : arena(data, device) {}
    PackArena arena;
    PackLosses losses;
    std::unique_ptr<ops::Graph> graph;
  };
  std::unique_ptr<Captured> capture(const DecoderBase& base, const Trainables& trainables, const PackData& data);
  void drop_stale_captures();
  void size_buffers(const DecoderBase& base, const Trainables& trainables, const PackData& like);

  at::Device device_;
  PassOptions options_;
  DecoderWorkspace workspace_;
  std::int64_t captured_generation_ = -1;  // of the workspace
  GraphCache<CaptureKey<PackShape>, Captured> graphs_;
};

}  // namespace finetune
