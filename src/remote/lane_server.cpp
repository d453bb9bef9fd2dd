#include "remote/lane_server.h"

#include "core/strict_json.h"
#include "remote/lane_messages.h"
#include "study/image_file.h"

namespace finetune::remote {
namespace {

TrialId trial_of(const Json& request, const char* field = "trial") {
  return {request.at(field).get<std::int64_t>()};
}

std::shared_ptr<const TrialImage> image_from(const Lane& lane, const std::string& bytes) {
  return lane.image_of(ImageFile("the image of a request", bytes).parts());
}

ServedReply steps(Lane& lane, const Json& request) {
  const double before = lane.step_seconds();
  Json results = Json::array();
  for (const StepResult& result : lane.step(trials_from(request.at("trials")))) results.push_back(step_message(result));
  return {Json{{"steps", std::move(results)},
               {"tokens_per_pass", lane.tokens_per_pass()},
               {"seconds", lane.step_seconds() - before}}
              .dump(),
          {}};
}

ServedReply evaluations(Lane& lane, const Json& request) {
  const double before = lane.evaluation_seconds();
  const EvalRequest what{.tasks = request.at("tasks").get<bool>(),
                         .examples = request.at("examples").get<bool>(),
                         .test = request.at("test").get<bool>()};
  Json results = Json::array();
  for (const EvalResult& result : lane.evaluate(trials_from(request.at("trials")), what))
    results.push_back(evaluation_message(result));
  return {Json{{"evaluations", std::move(results)}, {"seconds", lane.evaluation_seconds() - before}}.dump(), {}};
}

ServedReply captured(const Lane& lane, const Json& request) {
  const auto image = lane.capture(trial_of(request));
  if (image == nullptr) return {R"({"none":true})", {}};
  return {"{}", image_bytes(image->parts())};
}

ServedReply carry_out(Lane& lane, const Json& request, const std::string& image) {
  const auto what = request.at("do").get<std::string>();
  const auto config = [&] { return config_from(request.at("config")); };
  if (what == "step") return steps(lane, request);
  if (what == "evaluate") return evaluations(lane, request);
  if (what == "capture") return captured(lane, request);
  if (what == "admit")
    lane.admit(trial_of(request), config());
  else if (what == "release")
    lane.release(trial_of(request));
  else if (what == "change")
    lane.change(trial_of(request), config());
  else if (what == "copy")
    lane.copy(trial_of(request, "from"), trial_of(request), config());
  else if (what == "restore")
    lane.restore(trial_of(request), config(), *image_from(lane, image));
  else if (what == "copy_from_image")
    lane.copy_from_image(*image_from(lane, image), trial_of(request), config());
  else if (what == "set_tokens_per_pass")
    lane.set_tokens_per_pass(request.at("tokens").get<std::int64_t>());
  else
    throw bad_input("", "a lane knows no request " + what);
  return {"{}", {}};
}

}  // namespace

ServedReply serve(Lane& lane, const std::string& request, const std::string& image) {
  try {
    return carry_out(lane, parse_strict_json("a lane's request", request, 8), image);
  } catch (const Error& error) {
    return {error_json(error).dump(), {}};
  } catch (const nlohmann::json::exception& error) {
    return {error_json(bad_input("a lane's request", error.what())).dump(), {}};
  }
}

}  // namespace finetune::remote
