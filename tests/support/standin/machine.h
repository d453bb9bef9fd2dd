// The books of the stand-ins: who waited for whom, whose memory is whose, what was counted.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/standin/standin.h"

namespace finetune::standin {

/// Of a device; its first stream is the default one.
struct StreamKey {
  int device = 0;
  std::int64_t id = 0;
  auto operator<=>(const StreamKey&) const = default;
};
/// The work number `count` of a stream.
struct Moment {
  StreamKey stream;
  std::int64_t count = 0;
};
/// Up to which work of each stream something comes after.
using Clock = std::map<StreamKey, std::int64_t>;
void advance(Clock& clock, const Clock& other);

/// An allocation of a device.
struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
  StreamKey stream;  ///< in whose order it is freed and reused
  std::optional<Moment> written;
  Clock reads;                   ///< since it was written
  std::set<StreamKey> recorded;  ///< that the allocator was told of
};

class Machine {
 public:
  static Machine& instance();

  int devices = 0;

  /// All that follows is called with it held.
  std::recursive_mutex mutex;

  /// A piece of work at the end of a stream, which comes after what the host has waited for.
  Moment enqueue(const StreamKey& stream);
  /// The work reads or writes a block: a fault, and c10::Error, where it did not wait for who wrote or reads it.
  void use(const Moment& work, Block& block, bool writes, const std::string& what);
  const Clock& clock(const StreamKey& stream) { return clocks_[stream]; }
  std::vector<StreamKey> streams_of(int device) const;
  void wait_for(const StreamKey& stream, const Clock& clock) { advance(clocks_[stream], clock); }
  /// The host knows that what is in `clock` is done: copies arrive.
  void host_waits(const Clock& clock);
  /// `finish` is called once the host has waited for it.
  void pending(const Moment& work, std::function<void()> finish) { pending_.push_back({work, std::move(finish)}); }
  void count_wait(const std::string& what) {
    ++counts.waits;
    ++waits[what];
  }
  void fault(const std::string& line) { faults.push_back(line); }

  Block* allocate(std::size_t bytes, const StreamKey& stream);
  void release(Block* block) noexcept;
  void empty_cache();
  /// The block that an address lies at the beginning of; null for null.
  Block* block_at(const void* data);
  std::int64_t used_bytes(int device) const;
  std::int64_t kept_bytes(int device) const;

  Counts counts;
  std::vector<std::string> faults;
  std::map<std::string, std::int64_t> waits;
  std::int64_t memory = 0;          ///< bytes of each device; 0: no limit
  std::int64_t until_failure = -1;  ///< allocations; below 0: none fails

 private:
  struct Pending {
    Moment work;
    std::function<void()> finish;
  };
  std::map<StreamKey, Clock> clocks_;
  Clock host_;
  std::list<Pending> pending_;
  std::map<const void*, Block*> blocks_;
  std::map<std::pair<StreamKey, std::size_t>, std::vector<Block*>> free_;
};

/// The stream that a thread's work on a device goes to.
StreamKey current_stream(int device);

/// Of pinned memory.
bool is_pinned(const void* data);

void register_allocator();
void register_hooks();

}  // namespace finetune::standin
