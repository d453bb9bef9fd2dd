// Devices that are not there: a LibTorch device of our own (PrivateUse1), processor memory behind it, that keeps the
// rules of a GPU more strictly than one does. The engine runs on it as on a GPU; what would be a crash, a wait or a
// wrong number there is a fault or a count here, the same in every run.
//
// What it holds:
// - memory: an operation takes tensors of one stand-in only; a tensor of the processor is refused, but for a number
//   without dimensions. What is allocated holds NaN until it is written, what is freed is reused by the same stream at
//   once, and holds NaN before. An allocation beyond `set_memory` throws c10::OutOfMemoryError.
// - streams: whoever reads or overwrites what another stream wrote must have waited for it (an event, or the host).
//   Work is computed when it is enqueued, and a missing wait is a fault by the book of who waited for whom, not a
//   matter of luck and timing as with streams that really run late. What does come late are copies to pinned memory:
//   they arrive when the host waits for them, before that the memory holds NaN. So a missing wait of the host shows as
//   a wrong number. What a copy from pinned memory has still to read must not change before the host waited.
// - waits: what makes the host wait for a device is counted.
//
// All of it may be called from any thread; the host is one: what a thread has waited for counts for all.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace finetune::standin {

/// Registers `devices` of them with LibTorch, before anything else of ATen; later calls do nothing.
void install(int devices);
at::Device device(int index);

struct Counts {
  std::int64_t operations = 0;
  std::int64_t waits = 0;      ///< of the host: for a number, an event or a stream, or for a copy that is not async
  std::int64_t reads = 0;      ///< of those: numbers and tensors fetched at once
  std::int64_t to_host = 0;    ///< copies that do not wait
  std::int64_t from_host = 0;  ///< copies that do not wait
  std::int64_t between = 0;    ///< copies from one device to another
  std::int64_t allocations = 0;
};
/// Since `install` or the last `clear`.
Counts counts();
void clear();

/// Bytes that each device has from now on; 0: no limit.
void set_memory(std::int64_t bytes);
/// The allocation with this number, counted from the next one, which is 1, fails; 0: none does.
void fail_allocation(std::int64_t number);

/// What was found that a GPU would not have forgiven, a line each; forgotten by `clear`. Where it is found inside of an
/// operation, that one throws too.
std::vector<std::string> faults();

/// What the host waited in since `clear`, and how often.
std::map<std::string, std::int64_t> waits();

}  // namespace finetune::standin
