#include "support/standin/machine.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace finetune::standin {
namespace {

// NaN in every floating type, and no index of anything.
void poison(void* data, std::size_t bytes) {
  std::memset(data, 0xFF, bytes);
}

std::string name_of(const StreamKey& stream) {
  return "stream " + std::to_string(stream.id) + " of device " + std::to_string(stream.device);
}

bool covers(const Clock& clock, const StreamKey& stream, std::int64_t count) {
  const auto entry = clock.find(stream);
  return entry != clock.end() && entry->second >= count;
}

}  // namespace

void advance(Clock& clock, const Clock& other) {
  for (const auto& [stream, count] : other) {
    std::int64_t& own = clock[stream];
    own = std::max(own, count);
  }
}

Machine& Machine::instance() {
  static Machine* machine = new Machine;  // never destroyed: tensors may outlive whatever is
  return *machine;
}

Moment Machine::enqueue(const StreamKey& stream) {
  Clock& clock = clocks_[stream];
  advance(clock, host_);
  return {stream, ++clock[stream]};
}

void Machine::use(const Moment& work, Block& block, bool writes, const std::string& what) {
  const Clock& clock = clocks_[work.stream];
  const auto require = [&](const StreamKey& other, std::int64_t count, const char* did) {
    if (other == work.stream || covers(clock, other, count)) return;
    const std::string line = what + " on " + name_of(work.stream) + (writes ? " overwrites" : " reads") + " what " +
                             name_of(other) + " " + did + ", and did not wait for it";
    fault(line);
    TORCH_CHECK(false, "stand-in: ", line);
  };
  if (block.written) require(block.written->stream, block.written->count, "wrote");
  if (writes) {
    for (const auto& [stream, count] : block.reads) require(stream, count, "reads");
    block.written = work;
    block.reads.clear();
  } else {
    block.reads[work.stream] = work.count;
  }
}

std::vector<StreamKey> Machine::streams_of(int device) const {
  std::vector<StreamKey> streams;
  for (const auto& [stream, clock] : clocks_) {
    if (stream.device == device) streams.push_back(stream);
  }
  return streams;
}

void Machine::host_waits(const Clock& clock) {
  advance(host_, clock);
  for (auto entry = pending_.begin(); entry != pending_.end();) {
    if (covers(host_, entry->work.stream, entry->work.count)) {
      entry->finish();
      entry = pending_.erase(entry);
    } else {
      ++entry;
    }
  }
}

Block* Machine::allocate(std::size_t bytes, const StreamKey& stream) {
  ++counts.allocations;
  const bool refused = until_failure >= 0 && until_failure-- == 0;
  auto& same = free_[{stream, bytes}];
  if (!refused && !same.empty()) {
    Block* block = same.back();
    same.pop_back();
    poison(block->data, bytes);
    blocks_[block->data] = block;
    return block;
  }
  const auto wanted = static_cast<std::int64_t>(bytes);
  const auto full = [&] {
    return memory > 0 && used_bytes(stream.device) + kept_bytes(stream.device) + wanted > memory;
  };
  if (!refused && full()) empty_cache();
  TORCH_CHECK_WITH(OutOfMemoryError, !refused && !full(), "stand-in out of memory: tried to allocate ", bytes,
                   " bytes on device ", stream.device);
  auto* block = new Block{.data = std::aligned_alloc(64, (bytes + 63) / 64 * 64), .bytes = bytes, .stream = stream};
  poison(block->data, bytes);
  blocks_[block->data] = block;
  return block;
}

// What other streams still do with it, the allocator must have been told of; it waits for those.
void Machine::release(Block* block) noexcept {
  blocks_.erase(block->data);
  Clock uses = block->reads;
  if (block->written) advance(uses, {{block->written->stream, block->written->count}});
  const Clock& own = clocks_[block->stream];
  for (const auto& [stream, count] : uses) {
    if (stream == block->stream || covers(own, stream, count) || covers(host_, stream, count)) continue;
    if (block->recorded.count(stream) == 0)
      fault("memory of " + name_of(block->stream) + " was freed while " + name_of(stream) + " may still use it");
    clocks_[block->stream][stream] = std::max(clocks_[block->stream][stream], count);
  }
  poison(block->data, block->bytes);
  block->written.reset();
  block->reads.clear();
  block->recorded.clear();
  free_[{block->stream, block->bytes}].push_back(block);
}

void Machine::empty_cache() {
  for (auto& [key, blocks] : free_) {
    for (Block* block : blocks) {
      std::free(block->data);
      delete block;
    }
  }
  free_.clear();
}

Block* Machine::block_at(const void* data) {
  if (data == nullptr) return nullptr;
  const auto entry = blocks_.find(data);
  TORCH_CHECK(entry != blocks_.end(), "stand-in: a tensor without memory of a device");
  return entry->second;
}

std::int64_t Machine::used_bytes(int device) const {
  std::int64_t bytes = 0;
  for (const auto& [data, block] : blocks_) {
    if (block->stream.device == device) bytes += static_cast<std::int64_t>(block->bytes);
  }
  return bytes;
}

std::int64_t Machine::kept_bytes(int device) const {
  std::int64_t bytes = 0;
  for (const auto& [key, blocks] : free_) {
    if (key.first.device == device) bytes += static_cast<std::int64_t>(key.second * blocks.size());
  }
  return bytes;
}

at::Device device(int index) {
  return {at::kPrivateUse1, static_cast<c10::DeviceIndex>(index)};
}

Counts counts() {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  return machine.counts;
}

void clear() {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  machine.counts = {};
  machine.faults.clear();
  machine.waits.clear();
}

void set_memory(std::int64_t bytes) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  machine.memory = bytes;
}

void fail_allocation(std::int64_t number) {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  machine.until_failure = number - 1;
}

std::vector<std::string> faults() {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  return machine.faults;
}

std::map<std::string, std::int64_t> waits() {
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  return machine.waits;
}

}  // namespace finetune::standin
