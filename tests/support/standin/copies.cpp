// Copies: within a stand-in, between two, and to and from the host.
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/library.h>

#include "support/standin/operations.h"

namespace finetune::standin {
namespace {

bool on_standin(const at::Tensor& tensor) {
  return tensor.device().is_privateuseone();
}

void use(Machine& machine, const Moment& work, const at::Tensor& tensor, bool writes, const char* what) {
  if (Block* block = block_of(tensor)) machine.use(work, *block, writes, what);
}

// As CUDA's: on the source's stream, which waits for what the destination's has to do, and the other way round behind
// it.
void copy_between(const at::Tensor& from, const at::Tensor& to) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  const StreamKey source = current_stream(from.device().index()), target = current_stream(to.device().index());
  if (source.device != target.device) {
    ++machine.counts.between;
    machine.enqueue(target);
    machine.wait_for(source, Clock(machine.clock(target)));
  }
  const Moment work = machine.enqueue(source);
  use(machine, work, from, false, "a copy");
  use(machine, work, to, true, "a copy");
  on_processor(to).copy_(on_processor(from));
  if (source.device != target.device) machine.wait_for(target, Clock(machine.clock(source)));
}

// What the copy has still to read must not change before the host has waited for it.
void copy_from_host(const at::Tensor& from, const at::Tensor& to, bool asynchronous) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  const Moment work = machine.enqueue(current_stream(to.device().index()));
  use(machine, work, to, true, "a copy from the host");
  on_processor(to).copy_(from);
  if (!asynchronous) {
    machine.count_wait("a copy from the host");
    machine.host_waits(machine.clock(work.stream));
    return;
  }
  ++machine.counts.from_host;
  const at::Tensor as_it_was = from.clone();
  machine.pending(work, [&machine, from, as_it_was] {
    const std::size_t bytes = as_it_was.nbytes();
    if (bytes > 0 &&
        std::memcmp(from.contiguous().const_data_ptr(), as_it_was.contiguous().const_data_ptr(), bytes) != 0)
      machine.fault("memory of the host was changed while a copy to a device had still to read it");
  });
}

// It arrives when the host waits; until then the destination holds NaN.
void copy_to_host(const at::Tensor& from, const at::Tensor& to, bool asynchronous) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  const Moment work = machine.enqueue(current_stream(from.device().index()));
  use(machine, work, from, false, "a copy to the host");
  if (!asynchronous) {
    machine.count_wait("a copy to the host");
    ++machine.counts.reads;
    machine.host_waits(machine.clock(work.stream));
    to.copy_(on_processor(from));
    return;
  }
  ++machine.counts.to_host;
  const at::Tensor values = on_processor(from).clone();
  if (to.is_non_overlapping_and_dense()) std::memset(to.mutable_data_ptr(), 0xFF, to.nbytes());
  machine.pending(work, [to, values] { to.copy_(values); });
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  Machine& machine = Machine::instance();
  {
    const std::lock_guard lock(machine.mutex);
    ++machine.counts.operations;
  }
  if (on_standin(from) && on_standin(to))
    copy_between(from, to);
  else if (on_standin(to))
    copy_from_host(from, to, non_blocking && is_pinned(from.const_data_ptr()));
  else
    copy_to_host(from, to, non_blocking && is_pinned(to.const_data_ptr()));
  return to;
}

at::Tensor copy_and_resize(const at::Tensor& from, const at::Tensor& to) {
  TORCH_CHECK(from.sizes() == to.sizes(), "stand-in: an output does not have the size of the result");
  return copy_from(from, to, false);
}

at::Scalar number(const at::Tensor& tensor) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  ++machine.counts.operations;
  const Moment work = machine.enqueue(current_stream(tensor.device().index()));
  use(machine, work, tensor, false, "a number for the host");
  machine.count_wait("a number");
  ++machine.counts.reads;
  machine.host_waits(machine.clock(work.stream));
  return on_processor(tensor).item();
}

void record_stream(at::Tensor& tensor, c10::Stream stream) {
  c10::getDeviceAllocator(at::kPrivateUse1)->recordStream(tensor.storage().data_ptr(), stream);
}

}  // namespace

void register_copies() {
  static torch::Library aten(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  aten.impl("_copy_from", &copy_from);
  aten.impl("_copy_from_and_resize", &copy_and_resize);
  aten.impl("_local_scalar_dense", &number);
  aten.impl("record_stream", &record_stream);
}

}  // namespace finetune::standin
