#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "core/files.h"
#include "core/number.h"
#include "engine/session.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

std::string per_example_lines(const std::vector<ExampleLoss>& losses) {
  std::string text;
  for (const auto& loss : losses) {
    text +=
        nlohmann::ordered_json{
            {"tokens", loss.tokens}, {"loss_tokens", loss.loss_tokens}, {"nll", number_to_json(loss.nll)}}
            .dump() +
        "\n";
  }
  return text;
}

int run_eval(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  check_paths(config, false, false);
  const Session session = open_session(config, {.trains = false, .holds_out = false});
  for (const auto& note : session.notes) std::cerr << note << "\n";
  const std::vector<ExampleLoss> losses = evaluate_examples(session);

  double nll = 0;
  std::int64_t tokens = 0, loss_tokens = 0, correct = 0;
  for (const auto& loss : losses) {
    nll += loss.nll;
    tokens += loss.tokens;
    loss_tokens += loss.loss_tokens;
    correct += loss.correct;
  }
  const double mean = nll / static_cast<double>(std::max<std::int64_t>(1, loss_tokens));
  const double accuracy = static_cast<double>(correct) / static_cast<double>(std::max<std::int64_t>(1, loss_tokens));
  if (const std::string file = arguments.option("--per-example"); !file.empty())
    write_file_atomically(file, per_example_lines(losses));
  const nlohmann::ordered_json result = {{"loss", number_to_json(mean)},
                                         {"perplexity", number_to_json(std::exp(mean))},
                                         {"token_accuracy", accuracy},
                                         {"loss_tokens", loss_tokens},
                                         {"tokens", tokens},
                                         {"examples", static_cast<std::int64_t>(losses.size())}};
  if (arguments.json()) {
    std::cout << result.dump() << "\n";
  } else {
    for (const auto& [key, value] : result.items())
      std::cout << key << std::string(16 - key.size(), ' ') << value.dump() << "\n";
  }
  return 0;
}

}  // namespace

Verb eval_verb() {
  return {.name = "eval",
          .help = "loss of a model, with or without an adapter, on a file",
          .example = "finetune_tune eval --model models/qwen --adapter runs/first/best --data test.jsonl --json",
          .flags = {model_flag(),
                    adapter_flag(),
                    data_flag(),
                    {"--per-example", "FILE", "write tokens, loss tokens and nll of each line"},
                    devices_flag()},
          .required = {"model.path", "data.valid"},
          .run = run_eval};
}

}  // namespace finetune
