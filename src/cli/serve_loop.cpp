#include "cli/serve_loop.h"

#include <poll.h>

#include <map>

#include "cli/interrupt.h"
#include "cli/line_client.h"

namespace finetune {
namespace {

// Who has so much to be carried out or to be read is not listened to until there is less.
constexpr std::size_t kMostWaiting = 1024, kMostUnsent = std::size_t{64} << 20;
constexpr int kLookUp = 200;  // milliseconds after which a signal that came just before a wait is seen
constexpr int kLastTries = 25;
constexpr int kMostExchanges = 256;  // between two packs, so that nobody who never stops sending holds the others up

class ServeLoop {
 public:
  ServeLoop(ServeSession& session, const UnixSocket* socket) : session_(session), socket_(socket) {
    if (socket_ == nullptr) clients_.try_emplace(next_++);
  }

  int run() {
    while (!InterruptGuard::requested()) {
      exchange(session_.has_work() ? 0 : kLookUp);
      if (session_.has_work()) session_.run_next();
      take_answers();
      if (session_.is_ending() || (socket_ == nullptr && is_through(clients_.begin()->second))) break;
    }
    if (InterruptGuard::requested()) session_.interrupt();
    take_answers();
    send_the_rest();
    return InterruptGuard::requested() ? 130 : 0;
  }

 private:
  using Clients = std::map<ServeSession::Client, LineClient>;

  bool is_through(const LineClient& client) const { return client.has_ended() && !session_.has_work(); }

  bool is_heard(ServeSession::Client number, const LineClient& client) const {
    return !client.has_ended() && !session_.is_ending() && session_.waiting(number) < kMostWaiting &&
           client.unsent() < kMostUnsent;
  }

  std::size_t unsent() const {
    std::size_t bytes = 0;
    for (const auto& [number, client] : clients_) bytes += client.is_gone() ? 0 : client.unsent();
    return bytes;
  }

  // Whoever reads stdout may take its time, unless the user wants the end.
  void send_the_rest() {
    for (int idle = 0; idle < kLastTries && unsent() > 0;) {
      const std::size_t before = unsent();
      exchange(kLookUp);
      const bool waits = socket_ == nullptr && !InterruptGuard::requested();
      idle = unsent() < before || waits ? 0 : idle + 1;
    }
  }

  // Reads and writes until nothing more can be at once; waits so long for the first of it.
  void exchange(int milliseconds) {
    for (int i = 0; i < kMostExchanges && exchange_once(milliseconds) && !InterruptGuard::requested(); ++i)
      milliseconds = 0;
  }

  bool exchange_once(int milliseconds) {
    std::vector<pollfd> asked;
    std::vector<ServeSession::Client> numbers;
    if (socket_ != nullptr) asked.push_back({.fd = socket_->descriptor(), .events = POLLIN, .revents = 0});
    const std::size_t first = asked.size();
    for (const auto& [number, client] : clients_) {
      // Two entries, since stdin and stdout are not one; an entry below 0 is passed over.
      asked.push_back({.fd = is_heard(number, client) ? client.in() : -1, .events = POLLIN, .revents = 0});
      asked.push_back({.fd = client.unsent() > 0 ? client.out() : -1, .events = POLLOUT, .revents = 0});
      numbers.push_back(number);
    }
    if (::poll(asked.data(), asked.size(), milliseconds) <= 0) return false;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (asked[first + 2 * i].revents != 0) read(numbers[i]);
      if (asked[first + 2 * i + 1].revents != 0) clients_.at(numbers[i]).send();
    }
    if (first > 0 && asked.front().revents != 0) let_in();
    take_answers();
    drop_those_gone();
    return true;
  }

  void read(ServeSession::Client number) {
    clients_.at(number).read([&](std::string_view line) { session_.take(number, line); },
                             [&] {
                               session_.refuse(number, "a line is longer than " + std::to_string(kLongestLine >> 20) +
                                                           " MiB, which is not taken");
                             });
  }

  void let_in() {
    Descriptor client = socket_->accept();
    if (client.get() >= 0) clients_.try_emplace(next_++, std::move(client));
  }

  // A client that sends nothing more is still answered.
  void drop_those_gone() {
    if (socket_ == nullptr) return;
    for (auto i = clients_.begin(); i != clients_.end();) {
      const auto& [number, client] = *i;
      const bool answered = client.has_ended() && session_.owes(number) == 0 && client.unsent() == 0;
      if (!client.is_gone() && !answered) {
        ++i;
        continue;
      }
      session_.forget(number);
      i = clients_.erase(i);
    }
  }

  void take_answers() {
    for (auto& [number, line] : session_.take_answers()) {
      const auto client = clients_.find(number);
      if (client != clients_.end()) client->second.write(line);
    }
  }

  ServeSession& session_;
  const UnixSocket* socket_;
  Clients clients_;
  ServeSession::Client next_ = 0;
};

}  // namespace

int serve_clients(ServeSession& session, const UnixSocket* socket) {
  return ServeLoop(session, socket).run();
}

}  // namespace finetune
