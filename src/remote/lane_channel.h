// The way to a lane in another process, whatever carries it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace finetune::remote {

/// The bytes of an image file, wherever they lie now. Any thread.
class ImageBytes {
 public:
  virtual ~ImageBytes() = default;
  virtual std::string fetch() const = 0;
};

struct LaneRequest {
  std::string json;
  std::shared_ptr<const ImageBytes> image = {};  ///< null: none
};

struct LaneReply {
  std::string json;
  std::shared_ptr<const ImageBytes> image;  ///< null: none
};

/// The process at the other end is gone, and all that it held.
struct LaneLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// From one thread at a time.
class LaneChannel {
 public:
  virtual ~LaneChannel() = default;
  /// Does not wait for the answer. Throws LaneLost.
  virtual void send(const LaneRequest& request) = 0;
  /// Of the oldest request that has had none. Throws LaneLost.
  virtual LaneReply receive() = 0;
  /// After LaneLost: an empty lane of the same size, here or elsewhere. Throws Error where none can be had.
  virtual void reopen() = 0;
};

}  // namespace finetune::remote
