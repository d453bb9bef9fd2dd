// Memory of the stand-ins, and pinned memory of the host.
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "support/standin/machine.h"

namespace finetune::standin {
namespace {

class DeviceMemory : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    const at::Device current = c10::impl::VirtualGuardImpl(at::kPrivateUse1).getDevice();
    if (bytes == 0) return {nullptr, current};
    Block* block = machine.allocate(bytes, current_stream(current.index()));
    return {block->data, block, &release, current};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t count) const override { std::memcpy(to, from, count); }

  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t /*pool*/) override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.empty_cache();
  }
  void recordStream(const c10::DataPtr& pointer, c10::Stream stream) override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    if (Block* block = machine.block_at(pointer.get())) block->recorded.insert({stream.device_index(), stream.id()});
  }
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    c10::CachingDeviceAllocator::DeviceStats stats;
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    stats.allocated_bytes[kAll].current = machine.used_bytes(device);
    stats.reserved_bytes[kAll].current = machine.used_bytes(device) + machine.kept_bytes(device);
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex /*device*/) override {}
  void resetPeakStats(c10::DeviceIndex /*device*/) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex device) override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    const std::int64_t all = machine.memory > 0 ? machine.memory : std::int64_t{4} << 30;
    const std::int64_t reserved = machine.used_bytes(device) + machine.kept_bytes(device);
    return {static_cast<std::size_t>(std::max<std::int64_t>(0, all - reserved)), static_cast<std::size_t>(all)};
  }

 private:
  static void release(void* block) {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.release(static_cast<Block*>(block));
  }
};

// Freed memory is filled with NaN: whoever copies from it later shows it.
class PinnedMemory : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, at::kCPU};
    void* data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    const std::lock_guard lock(mutex());
    sizes()[data] = bytes;
    return {data, data, &release, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t count) const override { std::memcpy(to, from, count); }

  static bool holds(const void* data) {
    const std::lock_guard lock(mutex());
    auto entry = sizes().upper_bound(data);
    if (entry == sizes().begin()) return false;
    --entry;
    return static_cast<const char*>(data) < static_cast<const char*>(entry->first) + entry->second;
  }

 private:
  static std::mutex& mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
  }
  static std::map<const void*, std::size_t>& sizes() {
    static auto* sizes = new std::map<const void*, std::size_t>;
    return *sizes;
  }
  static void release(void* data) {
    const std::lock_guard lock(mutex());
    std::memset(data, 0xFF, sizes().at(data));
    sizes().erase(data);
    std::free(data);
  }
};

PinnedMemory& pinned_memory() {
  static auto* memory = new PinnedMemory;
  return *memory;
}

struct Hooks : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex /*device*/) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return static_cast<c10::DeviceIndex>(Machine::instance().devices); }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::holds(data); }
  at::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory(); }
  at::Device getDeviceFromPtr(void* data) const override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    return device(machine.block_at(data)->stream.device);
  }
};

}  // namespace

bool is_pinned(const void* data) {
  return PinnedMemory::holds(data);
}

void register_allocator() {
  c10::SetAllocator(at::kPrivateUse1, new DeviceMemory, 1);
}

void register_hooks() {
  at::RegisterPrivateUse1HooksInterface(new Hooks);
}

}  // namespace finetune::standin
