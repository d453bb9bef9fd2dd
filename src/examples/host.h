// What the example hosts share: paths from the command line, a small study, the report on the terminal.
#pragma once

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "host/tune.h"

namespace finetune {

/// `words` after the program's name: MODEL TRAIN VALID OUT, then KEY=VALUE settings as of --set.
inline int host_main(int count, char** words, std::vector<std::pair<std::string, std::string>> settings,
                     const StudyHooks& hooks) try {
  if (count < 5) throw bad_input("", std::string("usage: ") + words[0] + " MODEL TRAIN VALID OUT [KEY=VALUE ...]");
  const char* const keys[] = {"model.path", "data.train", "data.valid", "run.out"};
  for (int i = 0; i < 4; ++i) settings.emplace_back(keys[i], words[i + 1]);
  settings.insert(settings.end(), {{"train.steps", "60"}, {"tune.trials", "8"}});
  for (int i = 5; i < count; ++i) {
    const std::string word = words[i];
    settings.emplace_back(word.substr(0, word.find('=')), word.substr(word.find('=') + 1));
  }
  std::cout << report_text(tune(load_config({.settings = settings}), hooks));
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return exit_code(error.kind());
}

}  // namespace finetune
