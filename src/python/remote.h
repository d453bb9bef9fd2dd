// Lanes of a study that Python reaches: its `ends` carry their messages (finetune_tune/ray/lanes.py).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "host/hooks.h"
#include "python/bindings.h"
#include "remote/remote_lane.h"

namespace finetune::python {

/// Made and destroyed with the GIL; must outlive the study.
class RemoteLanes {
 public:
  /// An end has send(json, place), receive() -> (json, place), reopen(), keep(bytes) -> place and fetch(place) ->
  /// bytes; begin(needed, wanted) is called once, before the first message: the slots that each lane has.
  RemoteLanes(std::vector<nb::object> ends, nb::object begin) : ends_(std::move(ends)), begin_(std::move(begin)) {}
  /// Does nothing where there are no ends: the trials are computed in this process.
  void add_to(StudyHooks& hooks);

 private:
  std::vector<Lane*> make(std::int64_t slots, const std::function<void(const std::string&)>& say);
  static std::unique_ptr<remote::LaneChannel> make_channel(const nb::object& end);

  std::vector<nb::object> ends_;
  nb::object begin_;
  std::vector<std::unique_ptr<remote::RemoteLane>> lanes_;
};

}  // namespace finetune::python
