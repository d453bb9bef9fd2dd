// A trial's state off its slot: what PackedTrainer::capture returns. It stays on the device where it was copied, since
// a copy there takes microseconds, and most best states are replaced before anybody reads them. It comes to the host
// when somebody does (a save, what is written at the end), or when the device's memory ends.
#pragma once

#include <c10/core/Event.h>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/lane.h"
#include "engine/pack_data.h"
#include "engine/parameter_store.h"

namespace finetune {

/// Any thread.
class TorchImage : public TrialImage {
 public:
  TorchImage(SlotImage slot, PackTrial trial) : slot_(std::move(slot)), trial_(std::move(trial)) {}

  ImageParts parts() const override;

  /// Where it lies now; for who puts it back into a slot.
  SlotImage slot() const;
  /// Brings it to the host, where it stays; waits for the device.
  SlotImage on_host() const;
  /// Begins to copy it to pinned memory of the host, and gives the device's memory back behind that. False: it was on
  /// the host.
  bool leave_device() const;

  /// As it was; the slot it stood in means nothing any more.
  const PackTrial& trial() const { return trial_; }

 private:
  SlotImage arrived() const;

  mutable std::mutex mutex_;
  mutable SlotImage slot_;
  mutable std::optional<c10::Event> leaving_;  // its copy to the host, until that was waited for
  PackTrial trial_;
};

/// The images that lie on one device, whichever lane made them.
class DeviceImages {
 public:
  void add(const std::shared_ptr<const TorchImage>& image);
  /// All of them leave the device. False: there was none.
  bool leave();

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<const TorchImage>> images_;
};

}  // namespace finetune
