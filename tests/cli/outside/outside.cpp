// Builds a study in code and hooks its steps: a host program with nothing but the installed package.
#include <host/tune.h>

#include <cstdio>

int main(int count, char** words) {
  if (count != 4) return 2;
  long reports = 0;
  const auto config = finetune::load_config({.settings = {{"model.path", words[1]},
                                                          {"data.train", words[2]},
                                                          {"run.out", words[3]},
                                                          {"train.steps", "4"},
                                                          {"train.batch_size", "2"},
                                                          {"tune.trials", "2"},
                                                          {"tune.scheduler", "{name: none}"}}});
  const auto summary =
      finetune::tune(config, {.on_step = [&](auto all, auto&) { reports += static_cast<long>(all.size()); }});
  std::printf("reports %ld trials %zu\n", reports, summary.trials.size());
  return 0;
}
