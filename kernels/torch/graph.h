// A captured sequence of device work, replayed in one launch. What it reads and writes stays at the addresses it had
// when it was captured; whatever is to differ between replays is replaced in place there.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace finetune::ops {

class Graph {
 public:
  virtual ~Graph() = default;
  /// Runs `work` once on the stream that captures, behind what the current stream has got, which goes on behind it:
  /// libraries set themselves up on their first call on a stream, and their workspaces must not come to lie in the
  /// memory of a capture.
  virtual void warm_up(const std::function<void()>& work) = 0;
  /// Records what `work` enqueues, without running it. It was warmed up, and must not wait for the device. It is kept
  /// until the graph is destroyed.
  virtual void capture(std::function<void()> work) = 0;
  /// Enqueues the recorded work on the current stream.
  virtual void replay() = 0;
};

/// On a GPU a CUDA graph, all of whose memory comes from one pool per process: graphs may be replayed in any order, one
/// after the other, but what one leaves in memory of its own is gone when the next runs. Elsewhere a stand-in that
/// replays by calling `work` again. Throws Error where graphs cannot be had; `graphs_problem` says why, null if they
/// can.
std::unique_ptr<Graph> make_graph(at::Device device);
const char* graphs_problem(at::Device device);

}  // namespace finetune::ops
