#include <cmath>
#include <iostream>
#include <optional>

#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/serve_loop.h"
#include "core/error.h"
#include "core/number.h"
#include "host/run_paths.h"
#include "host/serve/serve_actions.h"
#include "host/serve/serve_setup.h"

namespace finetune {
namespace {

constexpr std::int64_t kMostSlots = 65536;

constexpr const char* kNotes =
    R"(A line is one request, {"VERB": {...}, "id": ...}, and each has one line of answer, in order:

  {"open": {"rank": 8, "alpha": 16, "seed": 1}}             -> {"slot": 0}      any key of train.lora; "adapter": DIR
  {"forward_backward": {"slot": 0, "examples": [...]}}      -> {"loss", "tokens", "loss_tokens"}   gradients add up
  {"forward": {"slot": 0, "examples": [...]}}               -> the same; no gradients, no dropout; slot null: the base
  {"optim_step": {"slot": 0, "lr": 1e-3}}                   -> {"gradient_norm", "step"}   betas, eps, weight_decay,
                                                               max_grad_norm
  {"sample": {"slot": 0, "prompts": [...], "seed": 1}}      -> {"samples": [[{"text", "ids", "ended", "logprobs"}]]}
                                                               n, max_new_tokens, temperature, top_p, top_k, stop
  {"save" or "load": {"slot": 0, "path": DIR}}              -> {"ok": true}     "optimizer": true: the whole state
  {"close": {"slot": 0}}  {"slots": {}}  {"shutdown": {}}

An example is a row as in training data, or {"ids": [...], "weights": [...]}, whose lists speak of the last tokens.
Losses: cross_entropy, importance_sampling, ppo, cispo; all but the first need "logprobs" and "advantages". A loss is
the sum over tokens by "divisor", which is the call's loss tokens where it is not given; "logprobs": true answers with
those of every loss token. ppo and cispo bound the ratio of probabilities: "clip_low" from 0 to 1 and "clip_high" from 1
are bounds of the ratio itself (0.8 and 1.2 where TRL's epsilon is 0.2). Losses that are no numbers come as "nan", "inf".

What cannot be done is {"error": "one line"}, and changes nothing else; an optim_step whose gradients are not finite is an
error too, which drops the gradients and counts the step. An empty line asks nothing and has no answer. Ctrl-C and SIGTERM
end between two passes: what is under way or waits is answered with an error, and nothing of it is done. A second one ends
at once.

Requests of several slots that have arrived when the engine becomes free run as one pack.)";

std::int64_t slots_of(const Arguments& arguments) {
  if (!arguments.has("--slots")) return 0;
  const std::string text = arguments.option("--slots");
  const double value = number_from_text(text).value_or(0);
  if (!(value >= 1 && value <= kMostSlots && value == std::floor(value)))
    throw bad_input("",
                    "--slots is " + text + "; a whole number from 1 to " + std::to_string(kMostSlots) + " is possible");
  return static_cast<std::int64_t>(value);
}

int run_serve(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments);
  require_meaning(arguments,
                  {"model.path",         "model.dtype",   "model.quantize", "model.double_quantize", "data.template",
                   "data.date",          "data.format",   "data.fields",    "data.prompt",           "data.completion",
                   "data.max_length",    "data.truncate", "data.train_on",  "data.append_eos",       "train.lora.",
                   "train.seed",         "run.devices",   "run.threads",    "run.numerics",          "run.kernels",
                   "run.tokens_per_pass"});
  const std::int64_t asked = slots_of(arguments);
  const InterruptGuard guard("ending between two passes; requests under way are answered with an error");
  Session session = open_to_serve(std::move(config), asked);
  session.interrupted = InterruptGuard::requested;
  const std::int64_t slots = slots_to_serve(session, asked);
  for (const std::string& note : session.notes) std::cerr << note << "\n";
  ServeActions actions(session, slots);
  ServeSession lines([&](auto requests) { return actions.carry_out(requests); });
  std::optional<UnixSocket> socket;
  if (arguments.has("--socket")) socket.emplace(arguments.option("--socket"));
  std::cerr << "serving " << slots << " slots on " << session.model.devices.front().str()
            << (socket ? " at " + arguments.option("--socket") : std::string()) << "\n";
  return serve_clients(lines, socket ? &*socket : nullptr);
}

}  // namespace

Verb serve_verb() {
  return {.name = "serve",
          .help = "the engine alone, for training loops in any language: JSON lines on stdin and stdout, or a socket",
          .example = "finetune_tune serve --model models/qwen --slots 8 --set train.lora.rank=16",
          .flags = {model_flag(),
                    {"--slots", "N", "adapters side by side; without it 16, or as many as memory holds"},
                    {"--socket", "PATH", "a Unix socket for clients of this user, instead of stdin and stdout"},
                    devices_flag()},
          .required = {"model.path"},
          .run = run_serve,
          .notes = kNotes};
}

}  // namespace finetune
