#include "host/serve/serve_session.h"

#include <algorithm>

#include "core/error.h"
#include "host/serve/request_queue.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kShutDown = "the service is shutting down";

Json error_of(const std::string& what) {
  return {{"error", what}};
}

// Half a character, where the tokens of a text are over, is no JSON.
std::string line_of(const Json& id, const Json& reply) {
  Json line = Json::object();
  if (!id.is_null()) line["id"] = id;
  line.update(reply);
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::uint64_t ServeSession::add_line(Client client) {
  Lines& own = clients_[client];
  own.lines.emplace_back();
  return own.first + own.lines.size() - 1;
}

void ServeSession::answer(Client client, std::uint64_t number, const Json& id, const Json& reply) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;  // has gone
  Lines& own = found->second;
  Line& line = own.lines[number - own.first];
  line = {true, line_of(id, reply)};
  while (!own.lines.empty() && own.lines.front().done) {
    ready_.emplace_back(client, std::move(own.lines.front().text));
    own.lines.pop_front();
    ++own.first;
  }
}

void ServeSession::take(Client client, std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;  // an empty line asks nothing
  const std::uint64_t number = add_line(client);
  try {
    ServeRequest request = parse_request(line);
    if (ending_)
      answer(client, number, request.id, error_of(kShutDown));
    else
      waiting_.push_back({client, number, std::move(request)});
  } catch (const Error& error) {
    answer(client, number, id_of(line), error_of(error.what()));
  }
}

void ServeSession::refuse(Client client, const std::string& what) {
  answer(client, add_line(client), nullptr, error_of(what));
}

void ServeSession::forget(Client client) {
  std::erase_if(waiting_, [&](const Waiting& request) { return request.client == client; });
  std::erase_if(ready_, [&](const auto& line) { return line.first == client; });
  clients_.erase(client);
}

std::size_t ServeSession::waiting(Client client) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(waiting_, [&](const Waiting& request) { return request.client == client; }));
}

std::size_t ServeSession::owes(Client client) const {
  const auto found = clients_.find(client);
  return found == clients_.end() ? 0 : found->second.lines.size();
}

void ServeSession::run_next() {
  std::vector<WaitingRequest> order;
  for (const Waiting& one : waiting_) order.push_back({one.client, one.request.verb, one.request.slot});
  const std::vector<std::size_t> pack = next_pack(order);
  if (pack.empty()) return;
  std::vector<const ServeRequest*> requests;
  for (const std::size_t i : pack) requests.push_back(&waiting_[i].request);
  std::vector<Json> replies;
  try {
    replies = carry_out_(requests);
  } catch (const Interrupted&) {
    return interrupt();
  }
  for (std::size_t k = 0; k < pack.size(); ++k) {
    const Waiting& one = waiting_[pack[k]];
    answer(one.client, one.number, one.request.id, replies[k]);
  }
  const bool ends = requests.front()->verb == ServeVerb::shutdown && !replies.front().contains("error");
  for (auto i = pack.rbegin(); i != pack.rend(); ++i)
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(*i));
  if (ends) end(kShutDown);
}

void ServeSession::interrupt() {
  end("the service was interrupted and is ending: nothing of this was done");
}

void ServeSession::end(const std::string& why) {
  ending_ = true;
  for (const Waiting& one : std::exchange(waiting_, {})) answer(one.client, one.number, one.request.id, error_of(why));
}

}  // namespace finetune
