#include "host/serve/request_queue.h"

#include <algorithm>
#include <set>
#include <utility>

namespace finetune {
namespace {

bool is_of_client(const WaitingRequest& request) {
  return !request.slot && !packs(request.verb);
}

// What of those before has been seen.
class Order {
 public:
  bool must_wait(const WaitingRequest& request) const {
    if (held_.contains(request.client)) return true;
    if (is_of_client(request)) return seen_.contains(request.client);
    return request.slot ? slots_.contains(*request.slot) : bases_.contains(request.client);
  }
  void note(const WaitingRequest& request) {
    seen_.insert(request.client);
    if (is_of_client(request))
      held_.insert(request.client);
    else if (request.slot)
      slots_.insert(*request.slot);
    else
      bases_.insert(request.client);
  }

 private:
  std::set<std::uint64_t> seen_, held_, bases_;
  std::set<std::int64_t> slots_;
};

}  // namespace

std::vector<std::size_t> next_pack(std::span<const WaitingRequest> waiting) {
  std::vector<std::size_t> pack;
  if (waiting.empty()) return pack;
  pack.push_back(0);
  const ServeVerb verb = waiting.front().verb;
  if (!packs(verb)) return pack;
  Order order;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const WaitingRequest& request = waiting[i];
    if (request.verb == ServeVerb::shutdown) break;
    if (i > 0 && request.verb == verb && !order.must_wait(request)) pack.push_back(i);
    order.note(request);
  }
  return pack;
}

}  // namespace finetune
