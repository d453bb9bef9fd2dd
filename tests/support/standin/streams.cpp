// Streams and events of the stand-ins, as LibTorch asks for them.
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>

#include "support/standin/operations.h"

namespace finetune::standin {
namespace {

thread_local int thread_device = 0;
thread_local std::map<int, std::int64_t> thread_streams;  // of each device, where not the default one

struct Event {
  Clock clock;
  int asked = 0;
};

StreamKey key_of(const c10::Stream& stream) {
  return {stream.device_index(), stream.id()};
}
c10::Stream stream_of(const StreamKey& key) {
  return c10::Stream(c10::Stream::UNSAFE, device(key.device), key.id);
}

struct Guard : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return at::kPrivateUse1; }
  c10::Device exchangeDevice(c10::Device to) const override {
    const c10::Device before = getDevice();
    setDevice(to);
    return before;
  }
  c10::Device getDevice() const override { return device(thread_device); }
  void setDevice(c10::Device to) const override {
    TORCH_CHECK(to.index() < Machine::instance().devices, "stand-in: there is no device ", int{to.index()});
    if (to.index() >= 0) thread_device = to.index();
  }
  void uncheckedSetDevice(c10::Device to) const noexcept override {
    if (to.index() >= 0) thread_device = to.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override {
    return static_cast<c10::DeviceIndex>(Machine::instance().devices);
  }

  c10::Stream getStream(c10::Device of) const override { return stream_of(current_stream(of.index())); }
  c10::Stream getDefaultStream(c10::Device of) const override { return stream_of({index(of), 0}); }
  c10::Stream getStreamFromGlobalPool(c10::Device of, bool /*high_priority*/) const override {
    return getNewStream(of, 0);
  }
  c10::Stream getNewStream(c10::Device of, int /*priority*/) const override {
    static std::atomic<std::int64_t> next{1};
    return stream_of({index(of), next++});
  }
  c10::Stream exchangeStream(c10::Stream to) const override {
    const c10::Stream before = getStream(to.device());
    thread_streams[to.device_index()] = to.id();
    return before;
  }

  void* getStreamNativeHandle(c10::Stream /*stream*/) const override { return nullptr; }

  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex /*device*/,
              const c10::EventFlag /*flag*/) const override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    if (*event == nullptr) *event = new Event;
    machine.enqueue(key_of(stream));
    *static_cast<Event*>(*event) = {machine.clock(key_of(stream)), 0};
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event == nullptr) return;
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.wait_for(key_of(stream), static_cast<Event*>(event)->clock);
  }
  // Not at once, however long ago it was: whoever asks must be able to go on without.
  bool queryEvent(void* event) const override {
    if (event == nullptr) return true;
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    auto& asked = *static_cast<Event*>(event);
    if (++asked.asked < 3) return false;
    machine.host_waits(asked.clock);
    return true;
  }
  void destroyEvent(void* event, const c10::DeviceIndex /*device*/) const noexcept override {
    delete static_cast<Event*>(event);
  }
  void synchronizeEvent(void* event) const override {
    if (event == nullptr) return;
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.count_wait("an event");
    machine.host_waits(static_cast<Event*>(event)->clock);
  }
  bool queryStream(const c10::Stream& /*stream*/) const override { return false; }
  void synchronizeStream(const c10::Stream& stream) const override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.count_wait("a stream");
    machine.host_waits(machine.clock(key_of(stream)));
  }
  void synchronizeDevice(const c10::DeviceIndex of) const override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    machine.count_wait("a device");
    for (const StreamKey& stream : machine.streams_of(of)) machine.host_waits(machine.clock(stream));
  }
  void recordDataPtrOnStream(const c10::DataPtr& pointer, const c10::Stream& stream) const override {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    if (Block* block = machine.block_at(pointer.get())) block->recorded.insert(key_of(stream));
  }

 private:
  static int index(c10::Device of) { return of.index() >= 0 ? of.index() : thread_device; }
};

}  // namespace

StreamKey current_stream(int of) {
  const int index = of >= 0 ? of : thread_device;
  const auto entry = thread_streams.find(index);
  return {index, entry == thread_streams.end() ? 0 : entry->second};
}

void install(int devices) {
  if (Machine::instance().devices > 0) return;
  Machine::instance().devices = devices;
  c10::register_privateuse1_backend("standin");
  c10::impl::registerDeviceGuard(at::kPrivateUse1, new Guard);
  register_allocator();
  register_hooks();
  register_operations();
  register_copies();
}

}  // namespace finetune::standin
