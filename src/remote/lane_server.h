// The other end of a RemoteLane: carries out its requests on a lane of this process.
#pragma once

#include <optional>
#include <string>

#include "engine/lane.h"

namespace finetune::remote {

struct ServedReply {
  std::string json;
  std::optional<std::string> image;  ///< bytes of an image file
};

/// `image`: what came with the request, "" = nothing. Never throws for what the lane refuses: the reply says it. Throws
/// whatever ends the lane itself. Called by one thread at a time.
ServedReply serve(Lane& lane, const std::string& request, const std::string& image);

}  // namespace finetune::remote
