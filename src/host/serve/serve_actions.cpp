#include "host/serve/serve_actions.h"

#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "engine/evaluators/evaluator.h"
#include "engine/lanes.h"
#include "engine/open_data.h"
#include "host/serve/slot_files.h"
#include "host/serve/slot_options.h"
#include "host/serve/text_requests.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostSlots = std::int64_t{1} << 40;

ServiceOptions service_options(const Session& session, std::int64_t slots) {
  ServiceOptions options{.tokens_per_pass = session.tokens_per_pass,
                         .room = store_options(session, slots),
                         .kernels = session.model.kernels,
                         .reproducible = session.config.run.numerics == "reproducible",
                         .cache_bytes = evaluation_cache_bytes(session.model.devices.front()),
                         .say = session.say,
                         .interrupted = session.interrupted};
  if (!session.model.principal.empty()) options.room.principal = session.model.principal.front();
  return options;
}

// What reads back as the same float, in as few digits as that takes.
double short_of(float value) {
  if (!std::isfinite(value)) return static_cast<double>(value);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0;
  std::from_chars(text, end, number);
  return number;
}

Json logprobs_json(const std::vector<float>& logprobs) {
  Json list = Json::array();
  for (const float one : logprobs) list.push_back(number_to_json(short_of(one)));
  return list;
}

Json error_json(const std::string& what) {
  return {{"error", what}};
}

Json pass_json(const PassAnswer& answer, bool logprobs, std::int64_t truncated) {
  if (!answer.failure.empty()) return error_json(answer.failure);
  Json json{{"loss", number_to_json(answer.loss)}, {"tokens", answer.tokens}, {"loss_tokens", answer.loss_tokens}};
  if (truncated > 0) json["truncated"] = truncated;
  if (!logprobs) return json;
  json["logprobs"] = Json::array();
  for (const auto& example : answer.logprobs) json["logprobs"].push_back(logprobs_json(example));
  return json;
}

// read(request) for each, whose Error is the answer; compute() of those that were read, in their order.
template <typename Asked, typename Read, typename Compute>
std::vector<Json> answered(std::span<const ServeRequest* const> requests, const Read& read, const Compute& compute) {
  std::vector<Json> answers(requests.size());
  std::vector<Asked> asked;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    try {
      asked.push_back(read(*requests[i]));
      places.push_back(i);
    } catch (const Error& error) {
      answers[i] = error_json(error.what());
    }
  }
  if (asked.empty()) return answers;
  std::vector<Json> computed = compute(asked);
  for (std::size_t k = 0; k < places.size(); ++k) answers[places[k]] = std::move(computed[k]);
  return answers;
}

}  // namespace

ServeActions::ServeActions(Session& session, std::int64_t slots)
    : session_(session),
      store_(make_store(session, 0, slots)),
      service_(std::make_unique<Service>(*store_, service_options(session, slots))),
      reader_(data_options(session.config, {}), *session.model.tokenizer, session.model.checkpoint.options.vocab_size) {
}

std::int64_t ServeActions::slot_of(Fields& fields) const {
  const std::int64_t slot = fields.whole("slot", 0, kMostSlots);
  if (!service_->is_open(slot))
    throw bad_input("", fields.path("slot") + " is " + std::to_string(slot) + ", which is not open");
  return slot;
}

std::optional<std::int64_t> ServeActions::slot_or_base(Fields& fields) const {
  if (fields.need("slot").is_null()) return std::nullopt;
  return slot_of(fields);
}

std::vector<Json> ServeActions::carry_out(Requests requests) {
  switch (requests.front()->verb) {
    case ServeVerb::forward_backward:
    case ServeVerb::forward:
      return passes(requests);
    case ServeVerb::optim_step:
      return steps(requests);
    case ServeVerb::sample:
      return samples(requests);
    default:
      break;
  }
  std::vector<Json> answers;
  for (const ServeRequest* request : requests) {
    try {
      answers.push_back(alone(*request));
    } catch (const Error& error) {
      answers.push_back(error_json(error.what()));
    }
  }
  return answers;
}

Json ServeActions::alone(const ServeRequest& request) {
  if (request.verb == ServeVerb::open) return open(request.body);
  if (request.verb == ServeVerb::save) return save(request.body);
  if (request.verb == ServeVerb::load) return load(request.body);
  Fields fields(request.body, name_of(request.verb));
  if (request.verb == ServeVerb::close) {
    const std::int64_t slot = slot_of(fields);
    fields.done();
    service_->close(slot);
    return {{"ok", true}};
  }
  fields.done();
  return request.verb == ServeVerb::slots ? state() : Json{{"ok", true}};
}

Json ServeActions::open(const Json& body) {
  const OpenedSlot slot = slot_options(body, session_);
  const std::int64_t number = service_->open(slot.config, slot.adapter ? &slot.adapter->tensors : nullptr);
  return {{"slot", number}};
}

Json ServeActions::save(const Json& body) const {
  Fields fields(body, "save");
  const std::int64_t slot = slot_of(fields);
  const std::string path = fields.text("path");
  const bool optimizer = fields.flag("optimizer", false);
  fields.done();
  save_slot(session_, *service_, slot, path, optimizer);
  return {{"ok", true}};
}

Json ServeActions::load(const Json& body) {
  Fields fields(body, "load");
  const std::int64_t slot = slot_of(fields);
  const std::string path = fields.text("path");
  const bool optimizer = fields.flag("optimizer", false);
  fields.done();
  load_slot(session_, *service_, slot, path, optimizer);
  return {{"ok", true}};
}

Json ServeActions::state() const {
  Json slots = Json::array();
  for (const SlotState& slot : service_->state()) slots.push_back(slot_json(slot));
  const auto open = static_cast<std::int64_t>(slots.size());
  return {{"slots", std::move(slots)},
          {"free", service_->slots() - open},
          {"model", session_.config.model.path},
          {"vocabulary", session_.model.checkpoint.options.vocab_size},
          {"max_length", session_.config.data.max_length}};
}

PassRequest ServeActions::pass_of(const ServeRequest& request, std::int64_t& truncated) {
  Fields fields(request.body, name_of(request.verb));
  PassRequest pass;
  if (request.verb == ServeVerb::forward)
    pass.slot = slot_or_base(fields);
  else
    pass.slot = slot_of(fields);
  const LossChoice loss = loss_of(fields);
  const Json& list = fields.list("examples");
  if (fields.has("divisor")) pass.divisor = fields.number("divisor", {.low = 0, .open_low = true});
  pass.logprobs = fields.flag("logprobs", false);
  fields.done();
  ReadExamples read = reader_.read(list, fields.path("examples"), loss);
  pass.examples = std::move(read.examples);
  truncated = read.truncated;
  return pass;
}

std::vector<Json> ServeActions::passes(Requests requests) {
  std::vector<std::int64_t> truncated;
  const auto read = [&](const ServeRequest& request) {
    std::int64_t cut = 0;
    PassRequest pass = pass_of(request, cut);
    truncated.push_back(cut);
    return pass;
  };
  const bool trains = requests.front()->verb == ServeVerb::forward_backward;
  return answered<PassRequest>(requests, read, [&](const std::vector<PassRequest>& asked) {
    const auto answers = trains ? service_->forward_backward(asked) : service_->forward(asked);
    std::vector<Json> json;
    for (std::size_t i = 0; i < asked.size(); ++i)
      json.push_back(pass_json(answers[i], asked[i].logprobs, truncated[i]));
    return json;
  });
}

StepRequest ServeActions::step_of(const ServeRequest& request) const {
  Fields fields(request.body, "optim_step");
  StepRequest step{.slot = slot_of(fields), .learning_rate = fields.number("lr", {.low = 0})};
  if (const Json* betas = fields.find("betas")) {
    const std::vector<double> values = numbers_of(*betas, fields.path("betas"));
    const auto possible = [](double beta) { return beta >= 0 && beta < 1; };
    if (values.size() != 2 || !possible(values[0]) || !possible(values[1]))
      throw bad_input("",
                      fields.path("betas") + " is " + shown(*betas) + "; two numbers from 0 and below 1 are possible");
    step.beta1 = values[0];
    step.beta2 = values[1];
  }
  step.epsilon = fields.number("eps", {.low = 0, .open_low = true}, step.epsilon);
  step.weight_decay = fields.number("weight_decay", {.low = 0}, step.weight_decay);
  step.max_grad_norm = fields.number("max_grad_norm", {.low = 0}, step.max_grad_norm);
  fields.done();
  return step;
}

std::vector<Json> ServeActions::steps(Requests requests) {
  const auto read = [this](const ServeRequest& request) { return step_of(request); };
  return answered<StepRequest>(requests, read, [this](const std::vector<StepRequest>& asked) {
    std::vector<Json> json;
    for (const StepAnswer& answer : service_->optim_step(asked)) {
      json.push_back(answer.failure.empty()
                         ? Json{{"gradient_norm", number_to_json(answer.gradient_norm)}, {"step", answer.step}}
                         : error_json(answer.failure));
    }
    return json;
  });
}

std::vector<Json> ServeActions::samples(Requests requests) {
  const auto read = [this](const ServeRequest& request) {
    Fields fields(request.body, "sample");
    return text_request(fields, slot_or_base(fields), session_);
  };
  return answered<TextRequest>(requests, read, [this](const std::vector<TextRequest>& asked) {
    std::vector<SampleRequest> how;
    for (const TextRequest& one : asked) how.push_back(one.sample);
    const std::vector<SampleAnswer> answers = service_->sample(how);
    std::vector<Json> json;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (!answers[i].failure.empty()) {
        json.push_back(error_json(answers[i].failure));
        continue;
      }
      Json& samples = json.emplace_back(Json{{"samples", Json::array()}})["samples"];
      for (const auto& prompt : answers[i].sequences) {
        Json& list = samples.emplace_back(Json::array());
        for (const SampledSequence& sequence : prompt) {
          list.push_back(text_json(asked[i], sequence.ids, session_));
          list.back()["logprobs"] = logprobs_json(sequence.logprobs);
        }
      }
    }
    return json;
  });
}

}  // namespace finetune
