#include "python/remote.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/config.h"
#include "config/metric_rules.h"
#include "config/params.h"
#include "core/error.h"
#include "engine/admission.h"
#include "engine/devices.h"
#include "engine/lane_count.h"
#include "engine/lanes.h"
#include "engine/memory.h"
#include "engine/placement.h"
#include "engine/schedule.h"
#include "engine/starts.h"
#include "host/replay_source.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"
#include "python/bindings.h"
#include "python/values.h"
#include "remote/lane_messages.h"
#include "remote/lane_server.h"
#include "remote/remote_lane.h"

namespace finetune::python {
namespace {

using remote::ImageBytes;
using remote::LaneLost;

// Where Python keeps an image: an object that only its end knows how to read.
class PythonBytes : public ImageBytes {
 public:
  PythonBytes(nb::object end, nb::object place) : end_(std::move(end)), place_(std::move(place)) {}
  ~PythonBytes() override {
    const nb::gil_scoped_acquire gil;
    end_.reset();
    place_.reset();
  }
  PythonBytes(const PythonBytes&) = delete;
  PythonBytes& operator=(const PythonBytes&) = delete;

  std::string fetch() const override {
    const nb::gil_scoped_acquire gil;
    const auto bytes = nb::cast<nb::bytes>(end_.attr("fetch")(place_));
    return {bytes.c_str(), bytes.size()};
  }
  const nb::object& place() const { return place_; }

 private:
  nb::object end_, place_;
};

// Python raises finetune_tune.errors.LaneLost where the process at the other end is gone.
template <typename Work>
auto with_losses(const Work& work) {
  const nb::gil_scoped_acquire gil;
  try {
    return work();
  } catch (nb::python_error& error) {
    const nb::object lost = nb::module_::import_("finetune_tune.errors").attr("LaneLost");
    if (error.matches(lost)) throw LaneLost(nb::str(error.value()).c_str());
    throw;
  }
}

class PythonChannel : public remote::LaneChannel {
 public:
  explicit PythonChannel(nb::object end) : end_(std::move(end)) {}
  ~PythonChannel() override {
    const nb::gil_scoped_acquire gil;
    end_.reset();
  }
  PythonChannel(const PythonChannel&) = delete;
  PythonChannel& operator=(const PythonChannel&) = delete;

  void send(const remote::LaneRequest& request) override {
    with_losses([&] { end_.attr("send")(request.json, place_of(request.image)); });
  }
  remote::LaneReply receive() override {
    return with_losses([&]() -> remote::LaneReply {
      const auto answer = nb::cast<std::pair<std::string, nb::object>>(end_.attr("receive")());
      if (answer.second.is_none()) return {answer.first, nullptr};
      return {answer.first, std::make_shared<const PythonBytes>(end_, answer.second)};
    });
  }
  void reopen() override {
    with_losses([&] { end_.attr("reopen")(); });
  }

 private:
  nb::object place_of(const std::shared_ptr<const ImageBytes>& image) const {
    if (image == nullptr) return nb::none();
    if (const auto* ours = dynamic_cast<const PythonBytes*>(image.get())) return ours->place();
    const std::string bytes = image->fetch();
    return end_.attr("keep")(nb::bytes(bytes.data(), bytes.size()));
  }

  nb::object end_;
};

// What a worker has: the base, the data, and a lane of its own.
class LaneHost {
 public:
  LaneHost(const std::string& file, const std::string& json, const RowTexts& rows) {
    RunConfig config = read_config(file, json, rows, {"model.path", "data.train"});
    const nb::gil_scoped_release others;
    resolve_replay(config);
    choose_defaults(config);
    validate(config);
    session_.emplace(open_study(std::move(config), {}, 1, [](const std::string&) {}, {}));
  }

  // What the study has to know, and to be the same for all workers.
  std::string facts() const {
    return nlohmann::ordered_json{{"device", describe_device(session_->model.devices.front())},
                                  {"dtype", session_->config.model.dtype},
                                  {"kernels", session_->config.run.kernels},
                                  {"tokens_per_pass", session_->tokens_per_pass}}
        .dump();
  }

  // Slots that a lane more can have: `wanted`, or what of them fits into memory.
  std::int64_t room(std::int64_t tokens_per_pass, std::int64_t wanted) {
    const nb::gil_scoped_release others;
    prepare(tokens_per_pass);
    return slots_that_fit(wanted, [&](std::int64_t slots) { return fit(slots_ + slots); });
  }

  // A lane more; its number.
  std::size_t begin(std::int64_t tokens_per_pass, std::int64_t slots) {
    const nb::gil_scoped_release others;
    prepare(tokens_per_pass);
    const std::int64_t all = slots_ + slots;
    if (!fit(all))
      throw bad_input("", std::to_string(all) +
                              " trials do not fit into a worker's memory; lower tune.concurrent, "
                              "or give more workers");
    lanes_.push_back(std::move(make_lanes(*session_, slots).front()));
    slots_ = all;
    return lanes_.size() - 1;
  }

  // A trial's configuration from its parameters, as requests have it.
  std::string trial_config(const nb::dict& params) const {
    return remote::config_json(configure_trial(session_->config, params_from(params, "the trial's parameters"))).dump();
  }

  static std::int64_t last_step_of(const std::string& config) {
    return last_step(remote::config_from(nlohmann::ordered_json::parse(config)));
  }

  // What is logged of a trial's evaluation, by name.
  std::string evaluate(std::size_t lane, std::int64_t trial) {
    const nb::gil_scoped_release others;
    const std::vector<TrialId> ids{{trial}};
    const std::vector<EvalResult> results = lanes_.at(lane).trainer->evaluate(ids, {});
    if (!results.front().failure.empty()) throw failed("", results.front().failure);
    nlohmann::ordered_json values;
    for (const auto& [name, value] : logged_values(wanted_metrics(session_->config), results.front()))
      values[name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    return values.dump();
  }

  std::pair<std::string, std::optional<nb::bytes>> serve(std::size_t lane, const std::string& request,
                                                         const nb::bytes& image) {
    const std::string bytes(image.c_str(), image.size());
    remote::ServedReply reply;
    {
      const nb::gil_scoped_release others;
      reply = remote::serve(*lanes_.at(lane).trainer, request, bytes);
    }
    if (!reply.image) return {std::move(reply.json), std::nullopt};
    return {std::move(reply.json), nb::bytes(reply.image->data(), reply.image->size())};
  }

 private:
  void prepare(std::int64_t tokens_per_pass) {
    if (std::exchange(prepared_, true)) return;
    session_->tokens_per_pass = tokens_per_pass;
    suppose_lanes(*session_, 1);
    compute_starts(*session_);
  }
  bool fit(std::int64_t slots) const { return std::ranges::all_of(memory_needs(*session_, slots), &MemoryNeed::fits); }

  std::optional<Session> session_;
  std::vector<LaneParts> lanes_;
  std::int64_t slots_ = 0;  // of all lanes
  bool prepared_ = false;
};

}  // namespace

void RemoteLanes::add_to(StudyHooks& hooks) {
  if (ends_.empty()) return;
  hooks.workers = std::ssize(ends_);
  hooks.lanes = [this, say = hooks.say](std::int64_t slots) { return make(slots, say); };
}

std::vector<Lane*> RemoteLanes::make(std::int64_t slots, const std::function<void(const std::string&)>& say) {
  const std::int64_t even = (slots + std::ssize(ends_) - 1) / std::ssize(ends_);
  std::int64_t each = 0;
  {
    const nb::gil_scoped_acquire gil;
    each = nb::cast<std::int64_t>(begin_(even, roomy_share(slots, std::ssize(ends_))));
  }
  std::vector<Lane*> lanes;
  for (const nb::object& end : ends_) {
    lanes_.push_back(std::make_unique<remote::RemoteLane>(make_channel(end), each, say));
    lanes.push_back(lanes_.back().get());
  }
  return lanes;
}

std::unique_ptr<remote::LaneChannel> RemoteLanes::make_channel(const nb::object& end) {
  const nb::gil_scoped_acquire gil;
  return std::make_unique<PythonChannel>(end);
}

void bind_remote(nb::module_& module) {
  nb::class_<LaneHost>(module, "LaneHost", "A worker's end of a study: model, data and one lane.")
      .def(nb::init<const std::string&, const std::string&, const RowTexts&>(), nb::arg("file"), nb::arg("config"),
           nb::arg("rows"))
      .def("facts", &LaneHost::facts, "JSON: device, dtype, kernels, tokens_per_pass.")
      .def("room", &LaneHost::room, nb::arg("tokens_per_pass"), nb::arg("wanted"),
           "Slots that a lane more can have, of those wanted.")
      .def("begin", &LaneHost::begin, nb::arg("tokens_per_pass"), nb::arg("slots"), "An empty lane more; its number.")
      .def("trial_config", &LaneHost::trial_config, nb::arg("params"), "A trial's configuration as requests have it.")
      .def_static("last_step", &LaneHost::last_step_of, nb::arg("config"), "Steps of such a configuration.")
      .def("evaluate", &LaneHost::evaluate, nb::arg("lane"), nb::arg("trial"), "JSON: the metrics of a trial, by name.")
      .def("serve", &LaneHost::serve, nb::arg("lane"), nb::arg("request"), nb::arg("image"),
           "Carries out a request; the reply, and the image that comes with it.");
}

}  // namespace finetune::python
