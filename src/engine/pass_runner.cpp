#include "engine/pass_runner.h"

#include <ATen/ATen.h>

namespace finetune {
namespace {

// A pass of padding only: idle groups and a single row of scale zero, so gradients stay as they are.
PackData empty_pass(const PackData& like, const PackShape& shape) {
  PackData data;
  data.longest = like.longest;
  if (shape.loss_rows > 0) data.loss_rows = data.targets = {0};
  data.scales.assign(data.loss_rows.size(), 0);
  pad_pack(data, shape, like.groups.size());
  return data;
}

}  // namespace

std::vector<Figure> PassRunner::train(const DecoderBase& base, const Trainables& trainables, std::int64_t model,
                                      const PackData& data) {
  const Objective& objective = *options_.objective;
  if (!options_.graphs) {
    PackArena arena(data, device_);
    arena.fill(data);
    return objective.figures(arena.pack(), train_pack(base, arena.pack(), trainables, workspace_, objective));
  }
  if (captured_generation_ < 0) size_buffers(base, trainables, data);
  drop_stale_captures();
  Captured& pass = graphs_.get({data.shape(), model}, [&] { return capture(base, trainables, data); });
  pass.arena.fill(data);
  pass.graph->replay();
  return objective.figures(pass.arena.pack(), pass.losses);
}

// An evaluation, or a pass above the largest, may have grown a buffer.
void PassRunner::drop_stale_captures() {
  if (workspace_.generation() == captured_generation_) return;
  graphs_.clear();
  captured_generation_ = workspace_.generation();
}

// Every buffer gets the size of the largest pass at once: one that grew later would leave the captures before it with
// memory that is no longer theirs.
void PassRunner::size_buffers(const DecoderBase& base, const Trainables& trainables, const PackData& like) {
  const PackData data = empty_pass(like, options_.largest);
  PackArena arena(data, device_);
  arena.fill(data);
  arena.fix_launches(options_.rank, options_.projections);
  train_pack(base, arena.pack(), trainables, workspace_, *options_.objective);
  captured_generation_ = workspace_.generation();
}

std::unique_ptr<PassRunner::Captured> PassRunner::capture(const DecoderBase& base, const Trainables& trainables,
                                                          const PackData& data) {
  auto pass = std::make_unique<Captured>(data, device_);
  const PackData padding = empty_pass(data, data.shape());
  pass->arena.fill(padding);
  pass->arena.fix_launches(options_.rank, options_.projections);
  pass->graph = ops::make_graph(device_);
  // On padding: libraries choose their algorithms.
  pass->graph->warm_up([&] { train_pack(base, pass->arena.pack(), trainables, workspace_, *options_.objective); });
  drop_stale_captures();
  pass->graph->capture([this, &base, trainables, captured = pass.get()] {
    captured->losses = train_pack(base, captured->arena.pack(), trainables, workspace_, *options_.objective);
  });
  return pass;
}

std::vector<Figure> PassRunner::evaluate(const DecoderBase& base, const AdapterBank* bank, const PackData& data,
                                         const Objective& objective) {
  PackArena arena(data, device_);
  arena.fill(data);
  return objective.figures(arena.pack(), evaluate_pack(base, arena.pack(), bank, workspace_));
}

void PassRunner::release(const PackShape& largest) {
  options_.largest = largest;
  graphs_.clear();
  captured_generation_ = -1;
  workspace_ = DecoderWorkspace();
}

}  // namespace finetune
