// The service behind JSON lines: requests of any number of clients go in, each client's answers come out in the order
// of its requests. Knows nothing of pipes and sockets, nor of what requests do. Torch-free. Used by one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/serve/request.h"

namespace finetune {

class ServeSession {
 public:
  using Json = nlohmann::ordered_json;
  using Client = std::uint64_t;
  /// Carries out requests of one verb, as one pack where there are several; an answer each, in their order. Throws
  /// Interrupted where the user wants the end, with nothing of them done.
  using CarryOut = std::function<std::vector<Json>(std::span<const ServeRequest* const>)>;

  explicit ServeSession(CarryOut carry_out) : carry_out_(std::move(carry_out)) {}

  /// A line has arrived. One that is no request is answered with an error, in its turn.
  void take(Client client, std::string_view line);
  /// An error in the place of a line that was not taken.
  void refuse(Client client, const std::string& what);
  /// What waits of a client who has gone is not carried out.
  void forget(Client client);

  bool has_work() const { return !waiting_.empty(); }
  /// Of a client: requests that wait; and lines that are not answered yet.
  std::size_t waiting(Client client) const;
  std::size_t owes(Client client) const;
  /// Carries out what comes next (request_queue.h).
  void run_next();
  /// The user wants the end: what waits is answered with an error.
  void interrupt();
  /// shutdown was carried out, or the user wants the end: what arrives from here on is refused.
  bool is_ending() const { return ending_; }

  /// Lines, without their end, in the order in which they are to be sent.
  std::vector<std::pair<Client, std::string>> take_answers() { return std::exchange(ready_, {}); }

 private:
  struct Waiting {
    Client client = 0;
    std::uint64_t number = 0;  // of the client's lines
    ServeRequest request;
  };
  // A line of a client that is not answered yet, or behind one that is not.
  struct Line {
    bool done = false;
    std::string text;
  };
  struct Lines {
    std::uint64_t first = 0;  // number of the front
    std::deque<Line> lines;
  };
  std::uint64_t add_line(Client client);
  void end(const std::string& why);
  void answer(Client client, std::uint64_t number, const Json& id, const Json& reply);

  CarryOut carry_out_;
  std::deque<Waiting> waiting_;
  std::map<Client, Lines> clients_;
  std::vector<std::pair<Client, std::string>> ready_;
  bool ending_ = false;
};

}  // namespace finetune
