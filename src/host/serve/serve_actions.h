// What requests do: from their fields to calls of the service, and from its answers to JSON. An Error of a request is
// its answer, {"error": "one line"}, and the others of its pack are carried out without it.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <vector>

#include "engine/service.h"
#include "engine/session.h"
#include "host/serve/examples.h"
#include "host/serve/request.h"

namespace finetune {

class ServeActions {
 public:
  using Json = nlohmann::ordered_json;

  /// The session, which is open_to_serve's, must outlive it.
  ServeActions(Session& session, std::int64_t slots);

  /// As ServeSession::CarryOut.
  std::vector<Json> carry_out(std::span<const ServeRequest* const> requests);

 private:
  struct Reading;
  using Requests = std::span<const ServeRequest* const>;

  Json alone(const ServeRequest& request);
  std::vector<Json> passes(Requests requests);
  std::vector<Json> steps(Requests requests);
  std::vector<Json> samples(Requests requests);
  Json open(const Json& body);
  Json save(const Json& body) const;
  Json load(const Json& body);
  Json state() const;
  std::int64_t slot_of(Fields& fields) const;
  std::optional<std::int64_t> slot_or_base(Fields& fields) const;
  PassRequest pass_of(const ServeRequest& request, std::int64_t& truncated);
  StepRequest step_of(const ServeRequest& request) const;

  Session& session_;
  std::unique_ptr<ParameterStore> store_;
  std::unique_ptr<Service> service_;
  ExampleReader reader_;
};

}  // namespace finetune
